import { Roles } from '../../../src/http/authorization/route-decorators.js';
import { routeOf } from '../../../src/http/authorization/route-rules.js';
import { madeContext } from '../../../src/http/exchange/made-context.js';

class Base {
  find(): string {
    return 'found';
  }
}
@Roles('admin')
class Admin extends Base {}
@Roles('editor')
class Editor extends Base {}
class Anybody extends Base {}

describe('a handler that several controllers inherit', () => {
  const handler = Object.getOwnPropertyDescriptor(Base.prototype, 'find')?.value as (...args: unknown[]) => unknown;
  const of = (controller: new () => object): ReturnType<typeof routeOf> =>
    routeOf(madeContext('http', [], { of: controller, handler }));

  it('has the rules and the name of each controller', () => {
    for (let round = 0; round < 3; round += 1) {
      expect(of(Admin)).toMatchObject({ name: 'Admin.find', rules: { roles: ['admin'] } });
      expect(of(Editor)).toMatchObject({ name: 'Editor.find', rules: { roles: ['editor'] } });
      expect(of(Anybody)).toMatchObject({ name: 'Anybody.find', rules: { roles: null } });
    }
  });

  it('is looked at once', () => {
    expect(of(Admin)).toBe(of(Admin));
    expect(of(Editor)).toBe(of(Editor));
  });
});
