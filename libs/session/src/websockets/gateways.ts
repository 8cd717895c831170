import type { INestApplicationContext } from '@nestjs/common';
import { ModulesContainer } from '@nestjs/core';

/** Metadata of `@WebSocketGateway()`. */
const KEYS = { isGateway: 'websockets:is_gateway', port: 'port', options: 'websockets:gateway_options' } as const;

export type Gateway = new (...args: never[]) => object;

interface Address {
  readonly path?: unknown;
  readonly namespace?: unknown;
}

/** Which gateways serve an address: by port, path and namespace, as Nest puts them together. */
export class Gateways {
  private byAddress: Map<string, Gateway[]> | null = null;

  constructor(private readonly app: INestApplicationContext) {}

  /** Empty where no gateway serves it, such as the main namespace of socket.io beside others. */
  at(port: number, address: Address): readonly Gateway[] {
    this.byAddress ??= this.find();
    return this.byAddress.get(keyOf(port, address)) ?? [];
  }

  private find(): Map<string, Gateway[]> {
    const found = new Map<string, Set<Gateway>>();
    for (const module of this.app.get(ModulesContainer, { strict: false }).values()) {
      for (const { metatype } of module.providers.values()) {
        if (typeof metatype !== 'function' || Reflect.getMetadata(KEYS.isGateway, metatype) !== true) continue;
        const port = (Reflect.getMetadata(KEYS.port, metatype) as number | undefined) ?? 0;
        const key = keyOf(port, (Reflect.getMetadata(KEYS.options, metatype) as Address | undefined) ?? {});
        found.set(key, (found.get(key) ?? new Set()).add(metatype as Gateway));
      }
    }
    return new Map([...found].map(([key, gateways]) => [key, [...gateways]]));
  }
}

function keyOf(port: number, { path, namespace }: Address): string {
  return JSON.stringify([port, path ?? null, nameOf(namespace)]);
}

/** Nest adds the slash itself; the main namespace has no other name. */
function nameOf(namespace: unknown): string {
  if (typeof namespace === 'string') return namespace.startsWith('/') ? namespace : `/${namespace}`;
  return namespace instanceof RegExp || typeof namespace === 'function' ? namespace.toString() : '/';
}
