import type { Session } from '../../model/session.js';
import type { HttpExchange } from '../exchange/http-exchange.js';
import { requestSlot, type RequestSlot } from '../exchange/request-slot.js';

/** What the guards make visible on a request. */
type Exposed = Readonly<Record<Name, unknown>>;
type Name = 'session' | 'user';

const NAMES: readonly Name[] = ['session', 'user'];

/** The same for every copy of the library in a process. */
interface Accessors {
  readonly slot: RequestSlot<Exposed>;
  /** Prototypes of requests that have the accessors. */
  readonly prototypes: WeakSet<object>;
}

const ACCESSORS = Symbol.for('nestjs-sessions/request-accessors');
const shared = globalThis as Partial<Record<symbol, Accessors>>;

/**
 * Sets `request.user` and `request.session` after the library's guards, unless they are already set: loggers, per-user
 * rate limits and ability libraries read them. A request that opens a socket serves many operations and is left
 * unchanged.
 */
export function exposeSession(exchange: HttpExchange, session: Session, user: unknown): void {
  if (exchange.isUpgrade) return;
  const { request, node } = exchange;
  const accessors = shared[ACCESSORS];
  if (accessors?.prototypes.has(Object.getPrototypeOf(node) as object) === true) {
    // The first guard decides, as it does where it sets a property.
    if (!accessors.slot.find(node)) accessors.slot.put(node, { session, user: user ?? undefined });
    if (Object.hasOwn(node, 'session')) offer(node, 'session', session);
    if (user !== null && Object.hasOwn(node, 'user')) offer(node, 'user', user);
    return;
  }
  offerBoth(request, session, user);
  if (node !== request) offerBoth(node, session, user);
}

/** At every request: an assignment by a name that is written here takes a fraction of one by a name in a variable. */
function offerBoth(target: object, session: Session, user: unknown): void {
  const request = target as { session?: unknown; user?: unknown };
  const takesMore = Object.isExtensible(request);
  if (takesMore && !('session' in request)) request.session = session;
  else offer(request, 'session', session);
  if (user === null) return;
  if (takesMore && !('user' in request)) request.user = user;
  else offer(request, 'user', user);
}

/**
 * Lets an Express application's requests show what the guards expose, by accessors of the prototype that all of them share. Each
 * request has a hidden class of its own there, and two properties added to it take several times as long as the look-up of a session.
 * An assignment replaces the accessor on its request. Does nothing where the prototype has one of the properties.
 */
export function showSessionsOn(prototype: object): void {
  const accessors = (shared[ACCESSORS] ??= { slot: requestSlot(), prototypes: new WeakSet() });
  if (accessors.prototypes.has(prototype) || NAMES.some((name) => name in prototype)) return;
  for (const name of NAMES) {
    Reflect.defineProperty(prototype, name, {
      configurable: true,
      enumerable: true,
      get(this: object) {
        return accessors.slot.find(this)?.[name];
      },
      set(this: object, value: unknown) {
        // Not to be seen again after the assigned property was deleted.
        const exposed = accessors.slot.find(this);
        if (exposed) accessors.slot.put(this, { ...exposed, [name]: undefined });
        define(this, name, value);
      },
    });
  }
  accessors.prototypes.add(prototype);
}

function offer(request: object, name: Name, value: unknown): void {
  if (isFree(request, name)) define(request, name, value);
}

/** Whether the property is missing, or declared as null to be filled later, as Fastify recommends. */
function isFree(request: object, name: string): boolean {
  for (let target: object | null = request; target; target = Object.getPrototypeOf(target) as object | null) {
    const property = Reflect.getOwnPropertyDescriptor(target, name);
    // An accessor belongs to other code, and reading it may have effects.
    if (property) return !property.get && (property.value === undefined || property.value === null);
  }
  return true;
}

function define(request: object, name: string, value: unknown): void {
  Reflect.defineProperty(request, name, { value, writable: true, configurable: true, enumerable: true });
}
