import { describe, expect, it } from '@jest/globals';
import { checkedStrategy, CommitStrategy } from '../lib/commit-strategy.js';

const MAX_MS = 2 ** 31 - 1;

describe('CommitStrategy', () => {
  it('has three that take nothing', () => {
    expect(CommitStrategy.auto).toEqual({ kind: 'auto' });
    expect(CommitStrategy.eager).toEqual({ kind: 'eager' });
    expect(CommitStrategy.manual).toEqual({ kind: 'manual' });
  });

  it('makes strategies that cannot be changed', () => {
    const made = [
      CommitStrategy,
      CommitStrategy.auto,
      CommitStrategy.eager,
      CommitStrategy.manual,
      CommitStrategy.periodic(1),
      CommitStrategy.periodic(1, { maxDelayMs: 5 }),
      CommitStrategy.interval(1),
    ];
    expect(made.map((value) => Object.isFrozen(value))).toEqual(made.map(() => true));
  });
});

describe('CommitStrategy.periodic()', () => {
  it('takes a positive integer, and a delay where one is given', () => {
    expect(CommitStrategy.periodic(1)).toEqual({ kind: 'periodic', n: 1 });
    expect(CommitStrategy.periodic(Number.MAX_SAFE_INTEGER)).toEqual({
      kind: 'periodic',
      n: Number.MAX_SAFE_INTEGER,
    });
    expect(CommitStrategy.periodic(10, { maxDelayMs: 500 })).toEqual({
      kind: 'periodic',
      n: 10,
      maxDelayMs: 500,
    });
    for (const options of [undefined, {}, { maxDelayMs: undefined }]) {
      expect(CommitStrategy.periodic(10, options)).toStrictEqual({ kind: 'periodic', n: 10 });
    }
  });

  it('copies its options', () => {
    const options = { maxDelayMs: 5 };
    const strategy = CommitStrategy.periodic(1, options);
    options.maxDelayMs = 9;
    expect(strategy).toEqual({ kind: 'periodic', n: 1, maxDelayMs: 5 });
  });

  it.each([0, -1, 0.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53])(
    'refuses n = %p with a RangeError',
    (n) => {
      expect(() => CommitStrategy.periodic(n)).toThrow(RangeError);
      expect(() => CommitStrategy.periodic(n)).toThrow(
        `Expected \`n\` to be a positive integer, got ${n} (number)`,
      );
    },
  );

  it.each([undefined, null, '5', 5n, true, {}])('refuses n = %p with a TypeError', (n) => {
    expect(() => CommitStrategy.periodic(n as number)).toThrow(TypeError);
  });

  it.each([0, -1, 0.5, Number.NaN, MAX_MS + 1, Number.POSITIVE_INFINITY])(
    'refuses maxDelayMs = %p with a RangeError',
    (maxDelayMs) => {
      expect(() => CommitStrategy.periodic(1, { maxDelayMs })).toThrow(RangeError);
      expect(() => CommitStrategy.periodic(1, { maxDelayMs })).toThrow(
        /^Expected `maxDelayMs` to be an integer from 1 to 2147483647, got /,
      );
    },
  );

  it.each([null, 5, 'ms', [5], { maxDelayMs: null }, { maxDelayMs: '5' }])(
    'refuses the options %j with a TypeError',
    (options) => {
      expect(() => CommitStrategy.periodic(1, options as object)).toThrow(TypeError);
    },
  );
});

describe('CommitStrategy.interval()', () => {
  it.each([1, 1_000, MAX_MS])('takes %p ms', (ms) => {
    expect(CommitStrategy.interval(ms)).toEqual({ kind: 'interval', ms });
  });

  it.each([0, -1, 0.5, Number.NaN, MAX_MS + 1, Number.POSITIVE_INFINITY])(
    'refuses %p with a RangeError',
    (ms) => {
      expect(() => CommitStrategy.interval(ms)).toThrow(RangeError);
      expect(() => CommitStrategy.interval(ms)).toThrow(
        /^Expected `ms` to be an integer from 1 to 2147483647, got /,
      );
    },
  );

  it.each([undefined, null, '5', 5n])('refuses %p with a TypeError', (ms) => {
    expect(() => CommitStrategy.interval(ms as unknown as number)).toThrow(TypeError);
  });
});

describe('checkedStrategy()', () => {
  it.each([
    CommitStrategy.auto,
    CommitStrategy.eager,
    CommitStrategy.manual,
    CommitStrategy.periodic(3),
    CommitStrategy.periodic(3, { maxDelayMs: 5 }),
    CommitStrategy.interval(5),
  ])('gives back %j, and takes the same made by hand', (strategy) => {
    expect(checkedStrategy(strategy)).toEqual(strategy);
    const byHand = { ...strategy };
    const checked = checkedStrategy(byHand);
    expect(checked).toStrictEqual(strategy);
    expect(checked).not.toBe(byHand);
    expect(Object.isFrozen(checked)).toBe(true);
  });

  it('drops what is no part of the strategy', () => {
    expect(checkedStrategy({ kind: 'auto', n: 5 })).toStrictEqual({ kind: 'auto' });
    expect(checkedStrategy({ kind: 'interval', ms: 5, n: 3 })).toStrictEqual({ kind: 'interval', ms: 5 });
  });

  it.each([
    undefined,
    null,
    'auto',
    5,
    true,
    [],
    {},
    () => CommitStrategy.auto,
    CommitStrategy.periodic,
    CommitStrategy,
    { kind: 'Auto' },
    { kind: 'toString' },
    { kind: ['auto'] },
    { n: 5 },
  ])('refuses %p with a TypeError that lists the strategies', (value) => {
    expect(() => checkedStrategy(value)).toThrow(TypeError);
    expect(() => checkedStrategy(value)).toThrow(
      /^Expected `strategy` to be CommitStrategy\.auto, \.periodic\(n\), \.interval\(ms\), \.eager or \.manual, got /,
    );
  });

  it.each([
    { kind: 'periodic', n: 0 },
    { kind: 'periodic', n: 1, maxDelayMs: 0 },
    { kind: 'interval', ms: 2 ** 31 },
  ])('refuses %j with a RangeError', (value) => {
    expect(() => checkedStrategy(value)).toThrow(RangeError);
  });

  it.each([
    { kind: 'periodic' },
    { kind: 'periodic', n: 1, maxDelayMs: null },
    { kind: 'interval', ms: '5' },
  ])('refuses %j with a TypeError', (value) => {
    expect(() => checkedStrategy(value)).toThrow(TypeError);
  });
});
