import { Logger, type OnModuleInit } from '@nestjs/common';
import type { DiscoveryService, MetadataScanner } from '@nestjs/core';
import { stackOf } from '../model/error-text.js';
import { isNamed, type SessionEvent, type SessionEventName } from '../model/events.js';
import { realmOf } from '../options/realm-mark.js';
import { listenedNames } from './on-session-event.js';
import { SessionEvents } from './session-events.js';

/**
 * Finds methods decorated with `@OnSessionEvent()` and calls them. They are looked for at boot, or at the first event that comes
 * earlier: a hybrid application whose microservices alone are started never runs the hooks of its modules.
 */
export class SessionEventExplorer implements OnModuleInit {
  private readonly logger = new Logger(SessionEvents.name);
  private readonly handlers = new Map<SessionEventName, ((event: SessionEvent) => void)[]>();
  private isExplored = false;

  constructor(
    private readonly discovery: DiscoveryService,
    private readonly scanner: MetadataScanner,
    events: SessionEvents,
    /** Whose events they hear; '' for the application's own. */
    private readonly realm = '',
  ) {
    events.all$.subscribe((event) => this.call(event));
  }

  onModuleInit(): void {
    if (this.isExplored) return;
    this.isExplored = true;
    // One instance may be provided under several tokens.
    const seen = new Set<unknown>();
    for (const wrapper of [...this.discovery.getProviders(), ...this.discovery.getControllers()]) {
      const instance: unknown = wrapper.instance;
      const isStatic = wrapper.isDependencyTreeStatic();
      const prototype: unknown = isStatic ? instance && Object.getPrototypeOf(instance) : wrapper.metatype?.prototype;
      if (typeof prototype !== 'object' || prototype === null || seen.has(isStatic ? instance : prototype)) continue;
      seen.add(isStatic ? instance : prototype);
      for (const key of this.scanner.getAllMethodNames(prototype)) {
        const names = this.namesOf(prototype, key);
        if (!names) continue;
        if (isStatic) this.attach(instance as Record<string, unknown>, key, names);
        else this.refuse(prototype, key);
      }
    }
  }

  private call(event: SessionEvent): void {
    this.onModuleInit();
    for (const [name, handlers] of this.handlers) {
      if (isNamed(event, name)) for (const handle of handlers) handle(event);
    }
  }

  private namesOf(prototype: object, key: string): readonly SessionEventName[] | undefined {
    // Only methods: reading an accessor would run it.
    const method: unknown = findDescriptor(prototype, key)?.value;
    if (typeof method !== 'function' || realmOf(prototype.constructor, method) !== this.realm) return undefined;
    return listenedNames(method);
  }

  private attach(instance: Record<string, unknown>, key: string, names: readonly SessionEventName[]): void {
    const where = `${instance.constructor.name}.${key}`;
    const handle = async (event: SessionEvent): Promise<void> => {
      try {
        // Looked up at each call, because another library may have wrapped the method.
        await (instance[key] as (event: unknown) => unknown).call(instance, event);
      } catch (error) {
        this.logger.error(`${where} failed at a session event`, stackOf(error));
      }
    };
    for (const name of new Set(names)) {
      this.handlers.set(name, [...(this.handlers.get(name) ?? []), (event) => void handle(event)]);
    }
  }

  private refuse(prototype: object, key: string): void {
    this.logger.warn(
      `${prototype.constructor.name}.${key} is never called for session events: its class is request-scoped. Move the method to a singleton provider.`,
    );
  }
}

function findDescriptor(prototype: object, key: string): PropertyDescriptor | undefined {
  for (let at: object | null = prototype; at; at = Object.getPrototypeOf(at) as object | null) {
    const descriptor = Object.getOwnPropertyDescriptor(at, key);
    if (descriptor) return descriptor;
  }
  return undefined;
}
