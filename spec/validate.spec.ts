import vm from 'node:vm';
import { describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import {
  argumentRangeError,
  argumentTypeError,
  assertInteger,
  assertOptions,
  assertSignal,
  assertSource,
  MAX_SOURCE_BYTES,
  quote,
  received,
  timeOf,
} from '../lib/validate.js';

describe('quote()', () => {
  it.each([
    ['orders', '"orders"'],
    ['', '""'],
    ['a "b" \\c', '"a \\"b\\" \\\\c"'],
    ['line\nbreak\r\ttab', '"line\\u{a}break\\u{d}\\u{9}tab"'],
    ['\u001B[31mred\u009B', '"\\u{1b}[31mred\\u{9b}"'],
    ['nul\0', '"nul\\u{0}"'],
    ['\uD800', '"\\u{d800}"'],
    ['\u202Etxt.exe', '"\\u{202e}txt.exe"'],
    ['\u2028\u2029\u200B\uFEFF', '"\\u{2028}\\u{2029}\\u{200b}\\u{feff}"'],
    ['caf\u00E9 \u{1F680}', '"caf\u00E9 \u{1F680}"'],
  ])('shows %j as %s', (text, expected) => {
    expect(quote(text)).toBe(expected);
  });

  it('cuts what is over 120 characters', () => {
    expect(quote('x'.repeat(120))).toBe(`"${'x'.repeat(120)}"`);
    expect(quote('x'.repeat(121))).toBe(`"${'x'.repeat(120)}\u2026"`);
  });

  it('never lets through what could break a line or a terminal', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        expect(quote(text)).not.toMatch(/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u);
      }),
    );
  });
});

describe('received()', () => {
  class Named {
    readonly part = 1;
  }
  it.each<[unknown, string]>([
    ['x', '"x" (string)'],
    ['\n', '"\\u{a}" (string)'],
    [0, '0 (number)'],
    [Number.NaN, 'NaN (number)'],
    [true, 'true (boolean)'],
    [5n, '5n (bigint)'],
    [undefined, 'undefined'],
    [null, 'null'],
    [Symbol('a'), 'a symbol'],
    [() => 1, 'a function'],
    [[1], 'an array'],
    [new Date(0), 'a Date'],
    [new Date(Number.NaN), 'an invalid Date'],
    [{}, 'an object'],
    [Object.create(null), 'an object'],
    [new Named(), 'an instance of Named'],
    [{ constructor: { name: '' } }, 'an object'],
    [new Map(), 'an instance of Map'],
    [{ constructor: 5 }, 'an object'],
    [{ constructor: { name: 5 } }, 'an object'],
  ])('says of %p: %s', (value, expected) => {
    expect(received(value)).toBe(expected);
  });
});

describe('argumentTypeError() and argumentRangeError()', () => {
  it('are errors in the manner of Node, that say what was expected and what came', () => {
    const type = argumentTypeError('`n` to be a number', '5');
    expect(type).toBeInstanceOf(TypeError);
    expect(type).toMatchObject({
      code: 'ERR_INVALID_ARG_TYPE',
      message: 'Expected `n` to be a number, got "5" (string)',
    });
    const range = argumentRangeError('`n` to be positive', 0);
    expect(range).toBeInstanceOf(RangeError);
    expect(range).toMatchObject({
      code: 'ERR_OUT_OF_RANGE',
      message: 'Expected `n` to be positive, got 0 (number)',
    });
  });
});

describe('assertSource()', () => {
  it.each([
    'orders',
    ' ',
    '__proto__',
    '../../etc/passwd',
    '\u0001\n',
    '\uFFFF',
    'x'.repeat(MAX_SOURCE_BYTES),
    '\u00E9'.repeat(MAX_SOURCE_BYTES / 2),
    '\u{1F680}'.repeat(MAX_SOURCE_BYTES / 4),
  ])('takes a name', (name) => {
    expect(() => assertSource(name)).not.toThrow();
  });

  it.each([
    ['empty', ''],
    ['of 1025 bytes', 'x'.repeat(MAX_SOURCE_BYTES + 1)],
    ['of 1026 bytes in 513 letters', '\u00E9'.repeat(513)],
    ['of 1026 bytes in 342 letters', '\u20AC'.repeat(342)],
    ['with a lone high surrogate', 'a\uD800'],
    ['with a lone low surrogate', '\uDC00a'],
    ['with surrogates in the wrong order', '\uDC00\uD800'],
    ['with U+0000', 'a\0b'],
  ])('refuses one that is %s with a RangeError', (_, name) => {
    expect(() => assertSource(name)).toThrow(RangeError);
    expect(() => assertSource(name)).toThrow(
      /^Expected the source name to be a well-formed string of 1 to 1024 bytes without U\+0000, got "/,
    );
  });

  it.each([undefined, null, 5, 5n, true, {}, ['a'], Object('a'), Symbol('a'), () => 'a'])(
    'refuses %p with a TypeError',
    (name) => {
      expect(() => assertSource(name)).toThrow(TypeError);
    },
  );

  it('takes exactly the well-formed strings of 1 to 1024 bytes without U+0000', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 1_100, size: 'max' }), (name) => {
        const bytes = Buffer.byteLength(name);
        const legal = name.isWellFormed() && !name.includes('\0') && bytes >= 1 && bytes <= 1_024;
        let taken = true;
        try {
          assertSource(name);
        } catch {
          taken = false;
        }
        expect(taken).toBe(legal);
      }),
      // Shrinking texts this long would take minutes.
      { endOnFailure: true },
    );
  });
});

describe('assertInteger()', () => {
  it('takes what lies between the limits, both included', () => {
    expect(() => assertInteger('ms', 1, 1, 3)).not.toThrow();
    expect(() => assertInteger('ms', 3, 1, 3)).not.toThrow();
    expect(() => assertInteger('ms', Number.MAX_SAFE_INTEGER, 0)).not.toThrow();
  });

  it('refuses what is out of range or no integer with a RangeError, and other types with a TypeError', () => {
    for (const value of [0, 4, 1.5, Number.NaN, Number.POSITIVE_INFINITY]) {
      expect(() => assertInteger('ms', value, 1, 3)).toThrow(RangeError);
      expect(() => assertInteger('ms', value, 1, 3)).toThrow(
        /^Expected `ms` to be an integer from 1 to 3, got /,
      );
    }
    expect(() => assertInteger('n', 0, 1)).toThrow('Expected `n` to be a positive integer, got 0 (number)');
    for (const value of ['1', 1n, null, undefined, Object(1)]) {
      expect(() => assertInteger('ms', value, 1, 3)).toThrow(TypeError);
    }
  });
});

describe('assertOptions()', () => {
  it('takes objects and undefined, and refuses all else with a TypeError', () => {
    expect(() => assertOptions('options', {})).not.toThrow();
    expect(() => assertOptions('options', undefined)).not.toThrow();
    for (const value of [null, 5, 'a', [], () => ({})]) {
      expect(() => assertOptions('options', value)).toThrow(TypeError);
      expect(() => assertOptions('options', value)).toThrow(
        /^Expected `options` to be an object or undefined, got /,
      );
    }
  });
});

describe('timeOf()', () => {
  it('gives the time of a Date of any realm, and NaN for all else', () => {
    expect(timeOf(new Date(5))).toBe(5);
    expect(timeOf(vm.runInNewContext('new Date(5)'))).toBe(5);
    const others = [new Date(Number.NaN), 5, '5', null, undefined, {}, { getTime: () => 5 }, Date.prototype];
    expect(others.map(timeOf)).toEqual(others.map(() => Number.NaN));
  });
});

describe('assertSignal()', () => {
  it('takes none, a signal, and what has the shape of one in another realm', () => {
    for (const signal of [undefined, AbortSignal.abort(), new AbortController().signal, { aborted: false }]) {
      expect(() => assertSignal(signal)).not.toThrow();
    }
  });

  it.each([
    [null, 'null'],
    ['aborted', '"aborted" (string)'],
    [1, '1 (number)'],
    [{}, 'an object'],
    [new AbortController(), 'an instance of AbortController'],
    [Object.assign(() => {}, { aborted: false }), 'a function'],
  ])('refuses %p with a TypeError', (signal, got) => {
    expect(() => assertSignal(signal)).toThrow(TypeError);
    expect(() => assertSignal(signal)).toThrow(`Expected \`signal\` to be an AbortSignal, got ${got}`);
  });
});
