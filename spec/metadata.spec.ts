import vm from 'node:vm';
import { describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import { OffsetSerializationError } from '../lib/errors.js';
import { copyMetadata, type Metadata, metadataEquals, type MetadataValue } from '../lib/metadata.js';

/** The metadata is refused with OFFSET_SERIALIZATION, in words that match. */
function expectRefused(metadata: unknown, message: RegExp): void {
  let thrown: unknown;
  try {
    copyMetadata(metadata);
  } catch (error) {
    thrown = error;
  }
  expect(thrown).toBeInstanceOf(OffsetSerializationError);
  expect(thrown).toMatchObject({ code: 'OFFSET_SERIALIZATION', message: expect.stringMatching(message) });
}

/** `levels` arrays around nothing. */
function nested(levels: number): MetadataValue {
  let value: MetadataValue = null;
  for (let level = 0; level < levels; level += 1) value = [value];
  return value;
}

const keys = fc
  .string({ unit: 'grapheme' })
  .filter((key) => key.isWellFormed() && !['__proto__', 'constructor', 'prototype'].includes(key));
const { metadata } = fc.letrec<{ value: MetadataValue; metadata: Metadata }>((tie) => ({
  value: fc.oneof(
    { depthSize: 'small' },
    fc.constant(null),
    fc.boolean(),
    fc.double({ noNaN: true, noDefaultInfinity: true }),
    fc.string({ unit: 'grapheme' }).filter((text) => text.isWellFormed()),
    fc.bigInt(),
    fc.date({ noInvalidDate: true }),
    fc.array(tie('value'), { maxLength: 4 }),
    tie('metadata'),
  ),
  metadata: fc.dictionary(keys, tie('value'), {
    maxKeys: 4,
    noNullPrototype: true,
  }),
}));

describe('copyMetadata()', () => {
  it('gives an equal copy that shares nothing with what was given', () => {
    const shared = (a: unknown, b: unknown): boolean => {
      if (typeof a !== 'object' || a === null || typeof b !== 'object' || b === null) return false;
      if (a === b) return true;
      return Object.keys(a).some((key) =>
        shared((a as Record<string, unknown>)[key], (b as Record<string, unknown>)[key]),
      );
    };
    fc.assert(
      fc.property(metadata, (given) => {
        const copy = copyMetadata(given);
        // -0 and 0 are one, which toEqual tells apart.
        expect(metadataEquals(copy, given)).toBe(true);
        expect(shared(copy, given)).toBe(false);
        expect(copyMetadata(copy)).toEqual(copy);
      }),
      { numRuns: 500 },
    );
  });

  it('leaves out what is undefined, and makes 0 of -0', () => {
    expect(
      copyMetadata({ a: undefined, b: { c: undefined }, d: [{ e: undefined }], zero: -0 }),
    ).toStrictEqual({
      b: {},
      d: [{}],
      zero: 0,
    });
  });

  it('does not alias what was given twice', () => {
    const date = new Date(5);
    const copy = copyMetadata({ first: date, second: date });
    expect(copy).toEqual({ first: new Date(5), second: new Date(5) });
    expect(copy['first']).not.toBe(copy['second']);
  });

  it('takes plain objects without a prototype, and those of another realm', () => {
    const bare = Object.assign(Object.create(null) as Record<string, MetadataValue>, { a: 1 });
    expect(copyMetadata(bare)).toStrictEqual({ a: 1 });
    const foreign = vm.runInNewContext('({ date: new Date(5), list: [{ a: 1n }] })') as Metadata;
    expect(copyMetadata(foreign)).toStrictEqual({ date: new Date(5), list: [{ a: 1n }] });
  });

  it('keeps keys that mean something elsewhere', () => {
    const given = { toString: 1, hasOwnProperty: 2, valueOf: 3, '': 4, 'a.b': 5, length: 6 };
    const copy = copyMetadata(given);
    expect(Object.entries(copy)).toEqual(Object.entries(given));
  });

  it('leaves symbols, what is inherited and what is not enumerable', () => {
    const given = Object.defineProperty({ a: 1, [Symbol('s')]: 2 }, 'hidden', {
      value: 3,
      enumerable: false,
    });
    expect(copyMetadata(given)).toStrictEqual({ a: 1 });
  });

  it('takes 32 levels and no more', () => {
    expect(copyMetadata({ a: nested(31) })).toEqual({ a: nested(31) });
    expectRefused(
      { a: nested(32) },
      /^Expected at most 32 levels \(and no cycle\) at metadata\.a(\[0\]){31}, got an array/,
    );
    const cycle: Record<string, unknown> = {};
    cycle['self'] = cycle;
    expectRefused(cycle, /at most 32 levels/);
  });

  it.each([undefined, null, 5, 'text', true, [], new Date(0), new Map(), () => ({})])(
    'refuses %p in place of a plain object',
    (value) => {
      expectRefused(value, /^Expected a plain object at metadata, got /);
    },
  );

  it.each<[string, unknown, RegExp]>([
    ['NaN', Number.NaN, /a finite number at metadata\.list\[1\]\.value, got NaN \(number\)/],
    ['Infinity', Number.POSITIVE_INFINITY, /a finite number/],
    ['a lone surrogate', '\uD800', /a string without lone surrogates at metadata\.list\[1\]\.value/],
    ['an invalid Date', new Date(Number.NaN), /a valid Date at metadata\.list\[1\]\.value/],
    ['what only looks like a Date', { [Symbol.toStringTag]: 'Date' }, /a valid Date/],
    ['a function', () => 1, /a value that can be stored/],
    ['a symbol', Symbol('a'), /a value that can be stored/],
    ['a hole', [, 1], /a value that can be stored at metadata\.list\[1\]\.value\[0\], got undefined/], // eslint-disable-line no-sparse-arrays
    ['a Map', new Map(), /a plain object at metadata\.list\[1\]\.value, got an instance of Map/],
    ['a Set', new Set(), /a plain object/],
    ['a RegExp', /a/, /a plain object/],
    ['an Error', new Error('a'), /a plain object/],
    ['a Buffer', Buffer.from('a'), /a plain object/],
    ['a promise', Promise.resolve(), /a plain object/],
    ['a class instance', new URL('file:///a'), /a plain object/],
    ['an object of a made prototype', Object.create({ a: 1 }), /a plain object/],
    ['a boxed number', Object(5), /a plain object/],
    [
      'arguments',
      (function () {
        return arguments;
      })(),
      /a plain object/,
    ], // eslint-disable-line prefer-rest-params
  ])('refuses %s inside, and says where', (_, value, message) => {
    expectRefused({ list: [0, { value }] }, message);
  });

  it.each(['__proto__', 'constructor', 'prototype'])('refuses the key %s at any level', (key) => {
    const object = JSON.parse(`{"${key}": {"polluted": true}}`) as object;
    expectRefused(object, new RegExp(`^Expected another key than "${key}" at metadata: it cannot be stored`));
    expectRefused({ a: [object] }, /at metadata\.a\[0\]/);
    expect(({} as { polluted?: unknown }).polluted).toBeUndefined();
  });

  it('refuses a key that is no well-formed text', () => {
    expectRefused({ '\uD800': 1 }, /^Expected another key than "\\u\{d800\}"/);
  });
});

describe('metadataEquals()', () => {
  it('is reflexive over copies, and symmetric', () => {
    fc.assert(
      fc.property(metadata, metadata, (a, b) => {
        expect(metadataEquals(a, copyMetadata(a))).toBe(true);
        expect(metadataEquals(copyMetadata(a), copyMetadata(b))).toBe(
          metadataEquals(copyMetadata(b), copyMetadata(a)),
        );
      }),
    );
  });

  it('does not look at the order of keys, and does at that of items', () => {
    expect(metadataEquals({ a: 1, b: [1, 2] }, { b: [1, 2], a: 1 })).toBe(true);
    expect(metadataEquals({ a: [1, 2] }, { a: [2, 1] })).toBe(false);
  });

  it.each<[MetadataValue | undefined, MetadataValue | undefined]>([
    [undefined, {}],
    [undefined, null],
    [{}, { a: 1 }],
    [{ a: 1 }, { b: 1 }],
    [{ a: 1 }, { a: 1n }],
    [{ a: 1 }, { a: '1' }],
    [{ a: true }, { a: 1 }],
    [{ a: null }, {}],
    [{ a: null }, { a: {} }],
    [{ a: [] }, { a: {} }],
    [{ a: [1] }, { a: { 0: 1 } }],
    [{ a: [1] }, { a: [1, 1] }],
    [{ a: new Date(5) }, { a: new Date(6) }],
    [{ a: new Date(5) }, { a: 5 }],
    [{ a: new Date(5) }, { a: {} }],
    [{ a: new Date(5) }, { a: new Date(5).toISOString() }],
    [{ a: undefined }, { b: 1 }],
    [{ toString: 1 }, { valueOf: 1 }],
    [{ '\u00E9': 1 }, { 'e\u0301': 1 }],
  ])('tells %p from %p', (a, b) => {
    expect(metadataEquals(a, b)).toBe(false);
    expect(metadataEquals(b, a)).toBe(false);
  });
});
