import { InvalidArgumentError } from '../../model/errors.js';
import {
  SessionEventStream,
  type ConsumeOptions,
  type EventConsumer,
  type StopConsuming,
} from '../session-event-stream.js';
import type { TenantScope } from './tenant-scope.js';

/** Begins the names of consumer groups, which are others than those of an application with one tenant or none. */
const GROUPS = '*:\n';

/** The events of all tenants. Each is handled in its own tenant. Closes nothing. */
export class TenantsEventStream extends SessionEventStream {
  constructor(
    private readonly all: SessionEventStream,
    private readonly scope: TenantScope,
  ) {
    super();
  }

  async consume(group: string, consumer: EventConsumer, options?: ConsumeOptions): Promise<StopConsuming> {
    if (typeof group !== 'string' || group === '')
      throw new InvalidArgumentError('group', 'must be a non-empty string');
    return this.all.consume(
      GROUPS + group,
      async (event, delivery) => {
        const { tenant } = event;
        if (tenant !== undefined) await this.scope.run(tenant, () => consumer(event, delivery));
      },
      options,
    );
  }

  async close(): Promise<void> {}
}
