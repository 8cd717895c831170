const REALM_KEY = 'nestjs-sessions:realm';

/** Puts a class or method into a realm. */
export function markRealm(target: object, realm: string): void {
  Reflect.defineMetadata(REALM_KEY, realm, target);
}

/** The realm of a class and one of its methods; '' for the application's own. */
export function realmOf(owner: object, method?: object): string {
  const ofMethod: unknown = method && Reflect.getMetadata(REALM_KEY, method);
  return (ofMethod ?? Reflect.getMetadata(REALM_KEY, owner) ?? '') as string;
}
