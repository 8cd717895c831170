#!/bin/sh
# Makes a cluster of the nodes on the given ports, three of them primaries, unless they are one already.
set -eu
nodes=
for port in "$@"; do
  until redis-cli -p "$port" ping >/dev/null 2>&1; do sleep 0.2; done
  nodes="$nodes 127.0.0.1:$port"
done
if redis-cli -p "$1" cluster info | grep -q '^cluster_state:ok'; then
  echo 'the cluster is there already'
  exit 0
fi
# shellcheck disable=SC2086 # one argument for each node
redis-cli --cluster create $nodes --cluster-replicas $((($# - 3) / 3)) --cluster-yes
