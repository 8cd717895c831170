import * as z from '../../src/options/schema.js';

const read = (schema: z.Schema<unknown>, value: unknown): unknown => schema.read(value);

const refused = (kind: string, path: (string | number)[], message: string) => ({
  issue: expect.objectContaining({ kind, path, message }),
});

describe('schemas of options', () => {
  it('fill in what is left out: as read (default) or as given (prefault), but never for null', () => {
    const number = z.int().transform((value) => value * 2);
    expect(read(number.default(5), undefined)).toEqual({ value: 5 });
    expect(read(number.prefault(5), undefined)).toEqual({ value: 10 });
    expect(read(number.optional(), undefined)).toEqual({ value: undefined });
    for (const schema of [number.default(5), number.prefault(5), number.optional()]) {
      expect(read(schema, null)).toEqual(refused('type', [], 'must be a whole number'));
    }
  });

  it('refuse the wrong kind before they look at the content', () => {
    const text = z.string({ error: 'kind' }).min(2, { error: 'short' }).regex(/^a/, { error: 'letter' });
    expect(read(text, 3)).toEqual(refused('type', [], 'kind'));
    expect(read(text, 'b')).toEqual(refused('content', [], 'short'));
    expect(read(text, 'bb')).toEqual(refused('content', [], 'letter'));
    expect(read(text, 'ab')).toEqual({ value: 'ab' });
    const number = z.int().min(1, { error: 'low' }).max(3, { error: 'high' });
    for (const value of [1.5, NaN, Infinity, '2', 2n])
      expect(read(number, value)).toEqual(refused('type', [], 'must be a whole number'));
    expect(read(number, 0)).toEqual(refused('content', [], 'low'));
    expect(read(number, 4)).toEqual(refused('content', [], 'high'));
  });

  it('name the place of what is wrong, and the first thing alone', () => {
    const schema = z.strictObject({
      list: z
        .array(z.strictObject({ flag: z.boolean() }))
        .min(1, { error: 'empty' })
        .optional(),
      name: z.string().optional(),
    });
    expect(read(schema, { list: [{ flag: true }, { flag: 1 }], name: 1 })).toEqual(
      refused('type', ['list', 1, 'flag'], 'must be true or false'),
    );
    expect(read(schema, { list: [] })).toEqual(refused('content', ['list'], 'empty'));
    expect(read(schema, { list: {} })).toEqual(refused('type', ['list'], 'must be a list'));
  });

  it.each(['nmae', '__proto__', 'constructor', 'toString'])('refuse the unknown option %s', (name) => {
    const value = JSON.parse(`{"${name}": 1}`) as unknown;
    expect(read(z.strictObject({ name: z.string().optional() }), value)).toEqual(
      refused('unknown', [name], 'does not exist'),
    );
    expect(read(z.partialRecord(z.enum(['name']), z.int()), value)).toEqual(
      refused('unknown', [name], 'must be one of "name"'),
    );
  });

  it.each([null, [], 'text', 1, () => ({})])('take %p for no object', (value) => {
    expect(read(z.strictObject({}), value)).toEqual(refused('type', [], 'must be an object'));
    expect(read(z.partialRecord(z.enum(['a']), z.int()), value)).toEqual(refused('type', [], 'must be an object'));
  });

  it('take the first alternative of a union, and report what each refused', () => {
    const schema = z.union([z.literal(true), z.strictObject({ size: z.int() }), z.enum(['a', 'b'])], { error: 'none' });
    expect(read(schema, { size: 1 })).toEqual({ value: { size: 1 } });
    expect(read(schema, 'b')).toEqual({ value: 'b' });
    expect(read(schema, { size: '1' })).toEqual({
      issue: {
        kind: 'union',
        path: [],
        message: 'none',
        alternatives: [
          { kind: 'value', path: [], message: 'must be true' },
          { kind: 'type', path: ['size'], message: 'must be a whole number' },
          { kind: 'value', path: [], message: 'must be one of "a", "b"' },
        ],
      },
    });
  });

  it('report what one alternative of a union refuses for its content', () => {
    const list = z.array(z.string()).min(1, { error: 'empty' });
    expect(read(z.union([z.string(), list], { error: 'none' }), [])).toEqual(refused('content', [], 'empty'));
    const both = z.union([z.int().min(1, { error: 'low' }), z.int().max(-1, { error: 'high' })], { error: 'none' });
    expect(read(both, 0)).toEqual(refused('union', [], 'none'));
  });

  it('let a transformation refuse, and run it only on what is good', () => {
    const given: unknown[] = [];
    const schema = z.int().transform((value, context) => {
      given.push(value);
      if (value < 10) return value;
      context.addIssue({ code: 'custom', message: 'much' });
      return z.NEVER;
    });
    expect([read(schema, 1), read(schema, 'x'), read(schema, 10)]).toEqual([
      { value: 1 },
      refused('type', [], 'must be a whole number'),
      refused('content', [], 'much'),
    ]);
    expect(given).toEqual([1, 10]);
    expect(
      read(
        z.custom<number>((value) => value === 7, { error: 'seven' }).refine(() => false, { error: 'no' }),
        7,
      ),
    ).toEqual(refused('content', [], 'no'));
  });

  it('copy lists and objects, so that nobody changes them afterwards', () => {
    const value = { list: ['a'], levels: { a: 1 } };
    const schema = z.strictObject({ list: z.array(z.string()), levels: z.partialRecord(z.enum(['a']), z.int()) });
    const result = schema.read(value);
    value.list.push('b');
    value.levels.a = 2;
    expect(result).toEqual({ value: { list: ['a'], levels: { a: 1 } } });
  });
});
