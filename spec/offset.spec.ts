import vm from 'node:vm';
import { describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import { InvalidOffsetError } from '../lib/errors.js';
import { behindError, Offset, type OffsetInput } from '../lib/offset.js';

const MAX = 2n ** 64n - 1n;
const LAST_MS = 8.64e15;

/** The call is refused with OFFSET_INVALID, in words that match. */
function expectInvalid(call: () => unknown, message: RegExp): void {
  let thrown: unknown;
  try {
    call();
  } catch (error) {
    thrown = error;
  }
  expect(thrown).toBeInstanceOf(InvalidOffsetError);
  expect(thrown).toMatchObject({ code: 'OFFSET_INVALID', message: expect.stringMatching(message) });
}

const sequences = fc.oneof(
  fc.bigInt({ min: 0n, max: MAX }),
  fc.constantFrom(
    0n,
    1n,
    2n ** 53n - 1n,
    2n ** 53n,
    2n ** 53n + 1n,
    2n ** 63n - 1n,
    2n ** 63n,
    MAX - 1n,
    MAX,
  ),
);
const times = fc.oneof(
  fc.integer({ min: -LAST_MS, max: LAST_MS }),
  fc.constantFrom(-LAST_MS, -62_167_219_200_001, -1, 0, 1, 253_402_300_799_999, 253_402_300_800_000, LAST_MS),
);
const texts = fc.oneof(
  fc.string({ unit: 'binary' }).filter((text) => text.isWellFormed()),
  fc.constantFrom('', 'earliest', 'latest', 'seq:1', 'custom:', '\0', 'e\u0301', '\u00E9'),
);
const offsets: fc.Arbitrary<Offset> = fc.oneof(
  sequences.map((value) => Offset.sequence(value)),
  times.map((ms) => Offset.timestamp(new Date(ms))),
  texts.map((text) => Offset.custom(text)),
  fc.constantFrom(Offset.earliest, Offset.latest),
);

describe('Offset.sequence()', () => {
  it.each([
    [0, 0n],
    [-0, 0n],
    [42, 42n],
    [Number.MAX_SAFE_INTEGER, 2n ** 53n - 1n],
    [0n, 0n],
    [2n ** 53n + 1n, 2n ** 53n + 1n],
    [MAX, MAX],
  ])('takes %p', (value, expected) => {
    expect(Offset.sequence(value)).toEqual({ kind: 'sequence', value: expected });
  });

  it.each([
    -1,
    0.5,
    Number.NaN,
    Number.POSITIVE_INFINITY,
    2 ** 53,
    -1n,
    MAX + 1n,
    '5',
    null,
    undefined,
    true,
    {},
  ])('refuses %p', (value) => {
    expectInvalid(
      () => Offset.sequence(value as bigint),
      /^Expected a sequence to be a safe integer >= 0 or a bigint from 0 to 2\^64-1, got /,
    );
  });
});

describe('Offset.timestamp()', () => {
  it.each([-LAST_MS, -1, 0, 1_767_225_600_123, LAST_MS])('takes the time %d ms', (ms) => {
    expect(Offset.timestamp(new Date(ms))).toEqual({ kind: 'timestamp', value: new Date(ms) });
  });

  it('copies the Date, so that later changes to it change nothing', () => {
    const date = new Date(1_000);
    const offset = Offset.timestamp(date);
    date.setTime(9_000);
    expect(offset).toEqual({ kind: 'timestamp', value: new Date(1_000) });
  });

  it('takes a Date of another realm', () => {
    const foreign = vm.runInNewContext('new Date(1000)') as Date;
    expect(foreign).not.toBeInstanceOf(Date);
    expect(Offset.timestamp(foreign).value).toEqual(new Date(1_000));
    expect(Offset.from(foreign)).toEqual(Offset.timestamp(new Date(1_000)));
  });

  it.each([
    ['an invalid Date', new Date(Number.NaN)],
    ['a number', 5],
    ['a text', '2026-01-01'],
    ['null', null],
    ['undefined', undefined],
    ['what only looks like a Date', { [Symbol.toStringTag]: 'Date' }],
    ['what only acts like one', { [Symbol.toStringTag]: 'Date', getTime: () => 5 }],
    ['one whose time is out of range', { [Symbol.toStringTag]: 'Date', getTime: () => 9e15 }],
  ])('refuses %s', (_, value) => {
    expectInvalid(() => Offset.timestamp(value as Date), /^Expected a timestamp to be a valid Date, got /);
    expectInvalid(() => Offset.from({ kind: 'timestamp', value: value as Date }), /^Expected a timestamp/);
  });
});

describe('Offset.custom()', () => {
  it.each(['', ' ', 'line-5', 'earliest', '\0', '\u{1F680}', 'x'.repeat(100_000)])('takes a text', (text) => {
    expect(Offset.custom(text)).toEqual({ kind: 'custom', value: text });
  });

  it.each(['\uD800', 'a\uDC00', 5, null, undefined, {}, ['a']])('refuses %j', (value) => {
    expectInvalid(
      () => Offset.custom(value as string),
      /^Expected a custom offset to be a string without lone surrogates, got /,
    );
  });
});

describe('Offset.earliest and Offset.latest', () => {
  it('are what their names say, and cannot be changed', () => {
    expect(Offset.earliest).toEqual({ kind: 'earliest' });
    expect(Offset.latest).toEqual({ kind: 'latest' });
    expect([Offset, Offset.earliest, Offset.latest].every((value) => Object.isFrozen(value))).toBe(true);
    expect(Offset.isEarliest(Offset.earliest)).toBe(true);
    expect(Offset.isEarliest(Offset.latest)).toBe(false);
    expect(Offset.isLatest(Offset.latest)).toBe(true);
    expect(Offset.isLatest(Offset.custom('latest'))).toBe(false);
  });
});

describe('Offset.from()', () => {
  it.each<[OffsetInput, Offset]>([
    [7, Offset.sequence(7n)],
    [7n, Offset.sequence(7n)],
    [new Date(5), Offset.timestamp(new Date(5))],
    ['line-5', Offset.custom('line-5')],
    // A string is never a kind: who wants that says so.
    ['earliest', Offset.custom('earliest')],
    ['', Offset.custom('')],
    [Offset.earliest, Offset.earliest],
    [Offset.latest, Offset.latest],
    [{ kind: 'sequence', value: 7n }, Offset.sequence(7n)],
    [{ kind: 'custom', value: 'x' }, Offset.custom('x')],
  ])('makes of %p an offset', (input, expected) => {
    expect(Offset.from(input)).toEqual(expected);
  });

  it('copies what it is given, Dates too, and drops what is no part of an offset', () => {
    const given = { kind: 'timestamp', value: new Date(1_000), extra: true } as const;
    const offset = Offset.from(given);
    given.value.setTime(9_000);
    expect(offset).toEqual({ kind: 'timestamp', value: new Date(1_000) });
  });

  it.each([
    -1,
    Number.NaN,
    1.5,
    MAX + 1n,
    new Date(Number.NaN),
    '\uD800',
    null,
    undefined,
    true,
    Symbol('a'),
    () => 5,
    {},
    [],
    [5],
    new Map(),
    Object.create(null),
    { kind: 'sequence' },
    { kind: 'sequence', value: 5 },
    { kind: 'sequence', value: -1n },
    { kind: 'sequence', value: '5' },
    { kind: 'timestamp', value: 5 },
    { kind: 'custom', value: 5 },
    { kind: 'Earliest' },
    { kind: '__proto__' },
    { [Symbol.toStringTag]: 'Date' },
  ])('refuses %p', (input) => {
    expectInvalid(() => Offset.from(input as OffsetInput), /^Expected an? /);
  });

  it('says what was expected, what came, and never prints control characters', () => {
    expectInvalid(
      () => Offset.from({ kind: 'middle', value: '\u001B[31m' } as unknown as Offset),
      /^Expected an offset: .*; got an object of kind "middle" \(string\) and value "\\u\{1b\}\[31m" \(string\)$/,
    );
    expectInvalid(() => Offset.from(undefined as unknown as Offset), /got undefined$/);
  });
});

describe('Offset.increment()', () => {
  it('gives the next sequence', () => {
    expect(Offset.increment(Offset.sequence(0))).toEqual(Offset.sequence(1));
    expect(Offset.increment(Offset.sequence(2n ** 53n))).toEqual(Offset.sequence(2n ** 53n + 1n));
    expect(Offset.increment(Offset.sequence(MAX - 1n))).toEqual(Offset.sequence(MAX));
  });

  it('is an error at 2^64-1: it never wraps', () => {
    expectInvalid(() => Offset.increment(Offset.sequence(MAX)), /2\^64-1/);
  });

  it('is undefined for the other kinds', () => {
    const others = [Offset.timestamp(new Date(0)), Offset.custom('5'), Offset.earliest, Offset.latest];
    expect(others.map(Offset.increment)).toEqual([undefined, undefined, undefined, undefined]);
  });

  it('lies right after', () => {
    fc.assert(
      fc.property(fc.bigInt({ min: 0n, max: MAX - 1n }), (value) => {
        const offset = Offset.sequence(value);
        const next = Offset.increment(offset) as Offset;
        expect(Offset.compare(offset, next)).toBe(-1);
        expect(next).toEqual(Offset.sequence(value + 1n));
      }),
    );
  });
});

describe('Offset.compare() and Offset.equals()', () => {
  it('order sequences and timestamps', () => {
    expect(Offset.compare(Offset.sequence(9), Offset.sequence(10))).toBeLessThan(0);
    expect(Offset.compare(Offset.sequence(MAX), Offset.sequence(MAX - 1n))).toBeGreaterThan(0);
    expect(Offset.compare(Offset.timestamp(new Date(-1)), Offset.timestamp(new Date(0)))).toBeLessThan(0);
    expect(
      Offset.compare(Offset.timestamp(new Date(LAST_MS)), Offset.timestamp(new Date(-LAST_MS))),
    ).toBeGreaterThan(0);
  });

  it('are undefined and false where there is no order', () => {
    const pairs: Array<[Offset, Offset]> = [
      [Offset.custom('a'), Offset.custom('b')],
      [Offset.custom('\u00E9'), Offset.custom('e\u0301')],
      [Offset.earliest, Offset.latest],
      [Offset.earliest, Offset.sequence(0)],
      [Offset.sequence(5), Offset.custom('5')],
      [Offset.sequence(0), Offset.timestamp(new Date(0))],
      [Offset.custom('earliest'), Offset.earliest],
    ];
    for (const [a, b] of pairs) {
      expect(Offset.compare(a, b)).toBeUndefined();
      expect(Offset.equals(a, b)).toBe(false);
    }
  });

  it('are reflexive, of copies too', () => {
    fc.assert(
      fc.property(offsets, (offset) => {
        expect(Offset.compare(offset, Offset.from(offset))).toBe(0);
        expect(Offset.equals(Offset.from(offset), offset)).toBe(true);
      }),
    );
  });

  it('are antisymmetric', () => {
    fc.assert(
      fc.property(offsets, offsets, (a, b) => {
        const there = Offset.compare(a, b);
        const back = Offset.compare(b, a);
        if (there === undefined) expect(back).toBeUndefined();
        else expect(there + (back as number)).toBe(0);
      }),
    );
  });

  const ordered = fc.oneof(
    fc.tuple(sequences, sequences, sequences).map((values) => values.map((value) => Offset.sequence(value))),
    fc.tuple(times, times, times).map((values) => values.map((ms) => Offset.timestamp(new Date(ms)))),
  ) as fc.Arbitrary<[Offset, Offset, Offset]>;

  it('are total within a kind that has an order, and transitive', () => {
    fc.assert(
      fc.property(ordered, (three) => {
        const [a, b, c] = three.toSorted((x, y) => Offset.compare(x, y) as number) as typeof three;
        expect(Offset.compare(a, b)).toBeLessThanOrEqual(0);
        expect(Offset.compare(b, c)).toBeLessThanOrEqual(0);
        expect(Offset.compare(a, c)).toBeLessThanOrEqual(0);
        expect(Offset.compare(a, c) === 0).toBe(Offset.equals(a, b) && Offset.equals(b, c));
      }),
    );
  });

  it('say equal exactly when the texts are the same', () => {
    fc.assert(
      fc.property(offsets, offsets, (a, b) => {
        expect(Offset.equals(a, b)).toBe(Offset.compare(a, b) === 0);
        expect(Offset.equals(a, b)).toBe(Offset.format(a) === Offset.format(b));
      }),
    );
  });
});

describe('Offset.format() and Offset.parse()', () => {
  it.each<[Offset, string]>([
    [Offset.sequence(42), 'seq:42'],
    [Offset.sequence(0), 'seq:0'],
    [Offset.sequence(MAX), 'seq:18446744073709551615'],
    [Offset.timestamp(new Date('2026-01-01T00:00:00Z')), 'ts:2026-01-01T00:00:00.000Z'],
    [Offset.timestamp(new Date(LAST_MS)), 'ts:+275760-09-13T00:00:00.000Z'],
    [Offset.timestamp(new Date(-LAST_MS)), 'ts:-271821-04-20T00:00:00.000Z'],
    [Offset.custom('line-5'), 'custom:line-5'],
    [Offset.custom(''), 'custom:'],
    [Offset.custom('custom:a'), 'custom:custom:a'],
    [Offset.custom('earliest'), 'custom:earliest'],
    [Offset.earliest, 'earliest'],
    [Offset.latest, 'latest'],
  ])('%p is %s, there and back', (offset, text) => {
    expect(Offset.format(offset)).toBe(text);
    expect(Offset.parse(text)).toEqual(offset);
  });

  it('give exactly the same offset back', () => {
    fc.assert(
      fc.property(offsets, (offset) => {
        expect(Offset.parse(Offset.format(offset))).toEqual(offset);
      }),
      { numRuns: 1_000 },
    );
  });

  it.each([
    '',
    ' ',
    'seq',
    'seq:',
    'seq:-1',
    'seq:+1',
    'seq:01',
    'seq:00',
    'seq: 1',
    'seq:1 ',
    'seq:1n',
    'seq:1.0',
    'seq:1e3',
    'seq:0x10',
    'seq:1_000',
    'seq:\u0661',
    'seq:18446744073709551616',
    'seq:99999999999999999999',
    'seq:100000000000000000000',
    'SEQ:1',
    ' seq:1',
    'seq:1\n',
    'ts:',
    'ts:0',
    'ts:2026-01-01',
    'ts:2026-01-01T00:00:00Z',
    'ts:2026-01-01T00:00:00.000',
    'ts:2026-01-01T00:00:00.0000Z',
    'ts:2026-01-01T01:00:00.000+01:00',
    'ts:2026-02-30T00:00:00.000Z',
    'ts:2026-01-01T24:00:00.000Z',
    'ts:+002026-01-01T00:00:00.000Z',
    'ts:-000000-01-01T00:00:00.000Z',
    'ts:+275760-09-13T00:00:00.001Z',
    'ts:Invalid Date',
    'at:2026-01-01T00:00:00.000Z',
    'custom',
    'custom:\uD800',
    'Earliest',
    'earliest ',
    'EARLIEST',
    'latest:',
    '42',
    'line-5',
    '__proto__',
  ])('parse() refuses %j', (text) => {
    expectInvalid(() => Offset.parse(text), /^Expected /);
  });

  it.each([undefined, null, 5, 5n, {}, ['seq:5'], new Date(0), Offset.earliest])(
    'parse() refuses %p',
    (value) => {
      expectInvalid(() => Offset.parse(value as string), /^Expected the text of an offset/);
    },
  );

  it('parse() refuses a text or format() gives it back', () => {
    const almost = fc
      .tuple(
        fc.constantFrom('seq:', 'ts:', 'custom:', 'earliest', 'latest', ''),
        fc.string({ unit: 'binary' }),
      )
      .map(([prefix, rest]) => prefix + rest);
    const digits = fc.stringMatching(/^[0-9]{0,22}$/).map((text) => `seq:${text}`);
    const dates = fc
      .stringMatching(/^[+-]?[0-9]{4,6}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-5][0-9]\.[0-9]{3}Z$/)
      .map((text) => `ts:${text}`);
    fc.assert(
      fc.property(fc.oneof(almost, digits, dates), (text) => {
        let offset: Offset;
        try {
          offset = Offset.parse(text);
        } catch (error) {
          expect(error).toBeInstanceOf(InvalidOffsetError);
          return;
        }
        expect(Offset.format(offset)).toBe(text);
      }),
      { numRuns: 2_000 },
    );
  });

  it('format() refuses what is no offset', () => {
    expectInvalid(
      () => Offset.format({ kind: 'sequence', value: 5 } as unknown as Offset),
      /^Expected an offset/,
    );
    expectInvalid(
      () => Offset.format({ kind: 'timestamp', value: new Date(Number.NaN) }),
      /^Expected a timestamp/,
    );
  });
});

describe('offsets are plain data', () => {
  it('and survive structuredClone', () => {
    fc.assert(
      fc.property(offsets, (offset) => {
        // The clone is of another realm here, as it is when it comes from a worker.
        const clone = structuredClone(offset);
        expect(Offset.equals(clone, offset)).toBe(true);
        expect(Offset.from(clone)).toEqual(offset);
        expect(Offset.format(clone)).toBe(Offset.format(offset));
      }),
    );
  });
});

describe('behindError()', () => {
  it('names the source and both offsets, and says what to do', () => {
    const error = behindError('orders\n', Offset.sequence(3), Offset.sequence(5), 'committed');
    expect(error).toMatchObject({ name: 'InvalidOffsetError', code: 'OFFSET_BEHIND', source: 'orders\n' });
    expect(error.message).toBe(
      'Offset "seq:3" lies before "seq:5", which is already committed for source "orders\\u{a}"; nothing was ' +
        'changed. To go back on purpose, use reset()',
    );
  });
});
