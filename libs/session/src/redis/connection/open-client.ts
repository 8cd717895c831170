import type * as Ioredis from 'ioredis';
import type { Cluster, ClusterOptions, Redis, RedisOptions } from 'ioredis';
import { ConfigurationError } from '../../model/errors.js';
import { isClusterOption, type RedisClusterOption, type RedisConnectionOptions } from '../../options/redis-option.js';
import { clientDefaults, clusterDefaults } from './client-settings.js';

/**
 * Opens a client.
 *
 * @throws {ConfigurationError} if ioredis is not installed.
 */
export async function openClient(
  option: string | RedisConnectionOptions | RedisClusterOption,
  commandTimeout: number,
): Promise<Redis | Cluster> {
  const ioredis = await loadIoredis();
  if (typeof option === 'string') return new ioredis.Redis(option, clientDefaults(commandTimeout));
  if (isClusterOption(option)) {
    const { nodes, options = {} } = option.cluster;
    return new ioredis.Cluster(nodes, clusterDefaults(commandTimeout, options as ClusterOptions));
  }
  const Connector = option.sentinels ? quietSentinels(ioredis) : undefined;
  return new ioredis.Redis({ ...clientDefaults(commandTimeout), ...(Connector && { Connector }), ...option });
}

/** Members of the connector of ioredis that its types omit. */
interface SentinelClients {
  new (options: never): InstanceType<typeof Ioredis.AbstractConnector>;
  prototype: { connectToSentinel(...args: unknown[]): Redis };
}

/** ioredis prints errors of its connections to the Sentinels unless somebody listens for them. */
function quietSentinels({ SentinelConnector }: typeof Ioredis): NonNullable<RedisOptions['Connector']> {
  const Base = SentinelConnector as unknown as SentinelClients;
  class QuietSentinelConnector extends (Base as unknown as new (options: never) => object) {
    connectToSentinel(...args: unknown[]): Redis {
      const client = Base.prototype.connectToSentinel.apply(this, args);
      client.on('error', () => undefined);
      return client;
    }
  }
  // SentinelClients declares only the member that is overridden, so the compiler does not see a whole connector.
  return QuietSentinelConnector as unknown as NonNullable<RedisOptions['Connector']>;
}

async function loadIoredis(): Promise<typeof Ioredis> {
  try {
    return await import('ioredis');
  } catch (error) {
    throw new ConfigurationError('redis: this option needs the package ioredis. Run "npm install ioredis".', {
      cause: error,
    });
  }
}
