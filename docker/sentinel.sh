#!/bin/sh
# Starts one Sentinel. It rewrites its own configuration, so that has to be a file of its own.
#   $1 its port   $2 port of the primary   $3 name of the primary
set -eu
config=$(mktemp)
cat > "$config" <<CONFIG
port $1
sentinel monitor $3 127.0.0.1 $2 2
sentinel down-after-milliseconds $3 2000
sentinel failover-timeout $3 10000
sentinel parallel-syncs $3 1
CONFIG
exec redis-server "$config" --sentinel
