import { IncomingMessage } from 'node:http';
import { Socket } from 'node:net';
import { inspect } from 'node:util';
import { requestSlot } from '../../../src/http/exchange/request-slot.js';

function requestWith(rawHeaders: string[]): IncomingMessage {
  const request = new IncomingMessage(new Socket());
  request.rawHeaders = rawHeaders;
  return request;
}

const requests: [kind: string, make: () => object][] = [
  ['a request of Node', () => requestWith(['Cookie', 'a=1'])],
  [
    'one with a prototype of its own',
    () => Object.setPrototypeOf(requestWith([]), Object.create(IncomingMessage.prototype)),
  ],
  ['one whose list is frozen', () => ({ rawHeaders: Object.freeze(['a', 'b']) })],
  ['a frozen one without a list', () => Object.freeze({})],
  ['a function', () => () => undefined],
  ['a message with a field of that name', () => ({ rawHeaders: 'text' })],
];

describe.each(requests)('a slot on %s', (_kind, make) => {
  it('keeps a value for each, which may be replaced', () => {
    const slot = requestSlot<{ n: number }>();
    const [one, two] = [make(), make()];
    expect(slot.find(one)).toBeUndefined();
    slot.put(one, { n: 1 });
    slot.put(two, { n: 2 });
    slot.put(one, { n: 3 });
    expect([slot.find(one), slot.find(two)]).toEqual([{ n: 3 }, { n: 2 }]);
  });

  it('is apart from other slots', () => {
    const [one, two] = [requestSlot<string>(), requestSlot<string>()];
    const request = make();
    one.put(request, 'one');
    expect(two.find(request)).toBeUndefined();
    two.put(request, 'two');
    expect([one.find(request), two.find(request)]).toEqual(['one', 'two']);
  });

  it('is seen by nothing that lists or prints the request', () => {
    const request = make();
    const before = [Reflect.ownKeys(request), inspect(request, { depth: 9, showHidden: true })];
    requestSlot<string>().put(request, 'a secret of the request');
    expect([Reflect.ownKeys(request), inspect(request, { depth: 9, showHidden: true })]).toEqual(before);
  });
});

describe('a request made with the list of another one', () => {
  it('gets nothing of it, and has a value of its own', () => {
    const slot = requestSlot<string>();
    const parent = requestWith(['Authorization', 'Bearer a']);
    const child = requestWith(parent.rawHeaders);
    slot.put(parent, "the parent's");
    expect(slot.find(child)).toBeUndefined();
    slot.put(child, "the child's");
    expect([slot.find(parent), slot.find(child)]).toEqual(["the parent's", "the child's"]);
  });
});
