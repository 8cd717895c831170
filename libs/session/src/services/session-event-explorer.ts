import { Inject, Injectable, Logger, type OnModuleInit } from '@nestjs/common';
import { DiscoveryService, MetadataScanner } from '@nestjs/core';
import type { SessionEventName } from '../model/events.js';
import { listenedNames } from './on-session-event.js';
import { SessionEvents } from './session-events.js';

/** Finds the methods under `@OnSessionEvent()` at boot and has them called. */
@Injectable()
export class SessionEventExplorer implements OnModuleInit {
  private readonly logger = new Logger(SessionEvents.name);

  constructor(
    @Inject(DiscoveryService) private readonly discovery: DiscoveryService,
    @Inject(MetadataScanner) private readonly scanner: MetadataScanner,
    @Inject(SessionEvents) private readonly events: SessionEvents,
  ) {}

  onModuleInit(): void {
    // One instance may be provided under several tokens.
    const seen = new Set<unknown>();
    for (const wrapper of [...this.discovery.getProviders(), ...this.discovery.getControllers()]) {
      const instance: unknown = wrapper.instance;
      const isStatic = wrapper.isDependencyTreeStatic();
      const prototype: unknown = isStatic ? instance && Object.getPrototypeOf(instance) : wrapper.metatype?.prototype;
      if (typeof prototype !== 'object' || prototype === null || seen.has(isStatic ? instance : prototype)) continue;
      seen.add(isStatic ? instance : prototype);
      for (const key of this.scanner.getAllMethodNames(prototype)) {
        const names = namesOf(prototype, key);
        if (!names) continue;
        if (isStatic) this.attach(instance as Record<string, unknown>, key, names);
        else this.refuse(prototype, key);
      }
    }
  }

  private attach(instance: Record<string, unknown>, key: string, names: readonly SessionEventName[]): void {
    const where = `${instance.constructor.name}.${key}`;
    for (const name of new Set(names)) {
      this.events.on(name, async (event) => {
        try {
          // Looked up each time, as somebody may have wrapped it meanwhile.
          await (instance[key] as (event: unknown) => unknown).call(instance, event);
        } catch (error) {
          this.logger.error(`${where} failed at a session event`, error instanceof Error ? error.stack : String(error));
        }
      });
    }
  }

  private refuse(prototype: object, key: string): void {
    this.logger.warn(
      `${prototype.constructor.name}.${key} is never called for session events: its class is made anew for each request. Move the method to a provider that is made once.`,
    );
  }
}

function namesOf(prototype: object, key: string): readonly SessionEventName[] | undefined {
  // Methods alone: an accessor would run.
  const method: unknown = findDescriptor(prototype, key)?.value;
  return typeof method === 'function' ? listenedNames(method) : undefined;
}

function findDescriptor(prototype: object, key: string): PropertyDescriptor | undefined {
  for (let at: object | null = prototype; at; at = Object.getPrototypeOf(at) as object | null) {
    const descriptor = Object.getOwnPropertyDescriptor(at, key);
    if (descriptor) return descriptor;
  }
  return undefined;
}
