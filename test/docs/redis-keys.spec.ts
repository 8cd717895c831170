import { RedisKeys } from '../../libs/session/src/redis/keys.js';
import { plain, readDocument, tableUnder } from './support/markdown.js';

const TENANT = 'acme';

/** Every name that the class gives, as the table writes it. A new member without an entry here fails the test. */
function namesOf(keys: RedisKeys, tenanted: RedisKeys): Record<string, string[]> {
  const user = keys.ofUser('ada');
  return {
    events: [keys.events],
    ofUser: [user.user, user.expiries],
    ofSession: [keys.ofSession(user.userKey + 's'.repeat(16)).user],
    ofUserKey: [keys.ofUserKey(user.userKey).user],
    expiries: [keys.expiries(0)],
    stream: [keys.stream(0, true), keys.stream(0, false)],
    streamGroups: [keys.streamGroups],
    history: [keys.history(user)],
    tenants: [keys.tenants],
    sweeper: [keys.sweeper],
    watermark: [keys.watermark('INSTANCE')],
    alias: [keys.alias('DIGEST'), tenanted.alias('DIGEST')],
    spentProof: [keys.spentProof('DIGEST')],
    blacklistedToken: [keys.blacklistedToken('DIGEST')],
    blacklistedSubject: [keys.blacklistedSubject('DIGEST')],
    // Names no key, the beginning of one, or one that is never written.
    placeOf: [],
    probe: [],
    overlaps: [],
    constructor: [],
  };
}

function asWritten(name: string, userKey: string): string {
  return name
    .replace(/\{[^}]+\}/, '{<tag>}')
    .replace(userKey, '<user key>')
    .replace('DIGEST', '<digest>')
    .replace('INSTANCE', '<instance>')
    .replace(/^session:alias:[A-Za-z0-9_-]{22}:/, 'session:alias:<tenant>:');
}

describe('docs/redis.md', () => {
  it('lists every key that the code names, once, and no other', () => {
    const keys = new RedisKeys('session:', '');
    const names = namesOf(keys, new RedisKeys('session:', TENANT));
    const members = [...Object.getOwnPropertyNames(RedisKeys.prototype), 'events'];
    expect(Object.keys(names).sort()).toEqual(members.sort());
    const { userKey } = keys.ofUser('ada');
    const written = new Set(Object.values(names).flatMap((each) => each.map((name) => asWritten(name, userKey))));
    const rows = tableUnder(readDocument('docs/redis.md'), '## Keys').map(([key = '']) => plain(key));
    expect(rows.sort()).toEqual([...written].sort());
  });
});
