/** The getters that `SessionMiddleware` has defined. */
const getters = new WeakSet<() => unknown>();

/** Marks the getter of `request.session` as one of `SessionMiddleware`, which knows no realms. */
export function markMiddlewareSession<G extends () => unknown>(getter: G): G {
  getters.add(getter);
  return getter;
}

/** On the route of a realm: `request.session` must not lead to a session of the application's own. `node` is Node's own request. */
export function forgetMiddlewareSession(node: object): void {
  const getter = Reflect.getOwnPropertyDescriptor(node, 'session')?.get;
  if (getter && getters.has(getter)) Reflect.deleteProperty(node, 'session');
}
