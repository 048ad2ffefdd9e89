/** Names, offsets and metadata on which stores are known to break. */
import type { Metadata } from '../metadata.js';
import { Offset } from '../offset.js';

/** Names that a store has to take, and to tell apart byte for byte. */
export const HOSTILE_NAMES: readonly string[] = [
  '__proto__',
  'constructor',
  'prototype',
  'toString',
  'hasOwnProperty',
  'length',
  'null',
  'undefined',
  '0',
  ' ',
  ' orders',
  'orders ',
  'orders',
  'Orders',
  'ORDERS',
  '.',
  '..',
  '../../etc/passwd',
  '/etc/passwd',
  'C:\\temp\\offsets',
  'a/b',
  'a.b',
  'a:b',
  'a*b?[c]',
  '%',
  '%00',
  '_',
  '$1',
  '{tag}',
  '"quoted"',
  "'; DROP TABLE offsets; --",
  'line\nbreak',
  'carriage\rreturn',
  'tab\tstop',
  '\u0001\u001B[31m\u007F',
  '\u2028\u2029',
  '\uFEFFbom',
  'right\u202Eto left',
  // One letter as one code point and as two: the same to the eye and to NFC, two names here.
  'caf\u00E9',
  'cafe\u0301',
  // Cases that fold to the same letters in some collations.
  'stra\u00DFe',
  'strasse',
  '\u0130',
  'i',
  '\u{1F680}',
  '\u{1F468}\u200D\u{1F469}\u200D\u{1F467}',
  '\uFFFD',
  '\uFFFF',
  '\u{10FFFF}',
  'x'.repeat(1024),
  '\u{1F680}'.repeat(256),
];

/** Names that a store has to refuse. */
export const REFUSED_NAMES: readonly unknown[] = [
  '',
  'x'.repeat(1025),
  '\u00E9'.repeat(513),
  '\uD800',
  'low\uDC00',
  'nul\0',
  undefined,
  null,
  42,
  7n,
  true,
  {},
  ['orders'],
  Symbol('orders'),
  () => 'orders',
];

/** Sequences in rising order, at the limits of the number types that they are kept in. */
export const SEQUENCES: readonly bigint[] = [
  0n,
  1n,
  // Text would put 10 before 9.
  9n,
  10n,
  2n ** 31n - 1n,
  2n ** 31n,
  2n ** 32n - 1n,
  2n ** 32n,
  2n ** 53n - 1n,
  2n ** 53n,
  2n ** 53n + 1n,
  2n ** 63n - 1n,
  2n ** 63n,
  2n ** 63n + 1n,
  2n ** 64n - 2n,
  2n ** 64n - 1n,
];

/** Times in rising order, in milliseconds; both ends of what a Date holds among them. */
export const TIMES_MS: readonly number[] = [
  -8.64e15,
  // The years -1, 0, 999: their texts have other lengths and signs.
  -62_198_755_200_000,
  -62_167_219_200_000,
  -30_641_760_000_000,
  -1,
  0,
  1,
  1_767_225_600_000,
  1_767_225_600_001,
  1_767_225_600_999,
  // Around the end of year 9999, after which a year is written with a sign.
  253_402_300_799_999,
  253_402_300_800_000,
  8.64e15 - 1,
  8.64e15,
];

/** Custom offsets: no two are the same. */
const CUSTOM_VALUES: readonly string[] = [
  '',
  ' ',
  'line-5',
  'Line-5',
  'earliest',
  'latest',
  'seq:5',
  'custom:x',
  'ts:2026-01-01T00:00:00.000Z',
  '5',
  '005',
  'null',
  'undefined',
  '{}',
  '[]',
  '"',
  "'",
  '\\',
  '\0',
  'before\0after',
  'line\nbreak',
  '\u2028',
  'caf\u00E9',
  'cafe\u0301',
  '\u{1F680}',
  '\uFFFF\u{10FFFF}',
  'x'.repeat(10 * 1024),
];

/** One offset of each kind. */
export const ONE_OF_EACH_KIND: readonly Offset[] = [
  Offset.sequence(5),
  Offset.timestamp(new Date(1_767_225_600_123)),
  Offset.custom('line-5'),
  Offset.earliest,
  Offset.latest,
];

/** Offsets of every kind, at their extremes. */
export const OFFSETS: readonly Offset[] = [
  ...SEQUENCES.map((value) => Offset.sequence(value)),
  ...TIMES_MS.map((ms) => Offset.timestamp(new Date(ms))),
  ...CUSTOM_VALUES.map((value) => Offset.custom(value)),
  Offset.earliest,
  Offset.latest,
];

/** What has no right to be taken for an offset. */
export const NO_OFFSETS: ReadonlyArray<readonly [string, unknown]> = [
  ['undefined', undefined],
  ['null', null],
  ['-1', { kind: 'sequence', value: -1n }],
  ['2^64', { kind: 'sequence', value: 2n ** 64n }],
  ['a sequence that is a number', { kind: 'sequence', value: 5 }],
  ['a sequence that is NaN', { kind: 'sequence', value: Number.NaN }],
  ['a sequence that is text', { kind: 'sequence', value: '5' }],
  ['an invalid Date', { kind: 'timestamp', value: new Date(Number.NaN) }],
  ['a time that is a number', { kind: 'timestamp', value: 5 }],
  ['a lone surrogate', { kind: 'custom', value: '\uD800' }],
  ['a custom offset without text', { kind: 'custom' }],
  ['an unknown kind', { kind: 'middle' }],
  ['an empty object', {}],
];

/** Metadata with every kind of value that is legal. */
export const LEGAL_METADATA: Metadata = {
  nothing: null,
  yes: true,
  no: false,
  zero: 0,
  negative: -1.5,
  largest: Number.MAX_VALUE,
  smallest: Number.MIN_VALUE,
  safe: Number.MAX_SAFE_INTEGER,
  bigint: 2n ** 70n,
  negativeBigint: -(2n ** 70n),
  smallBigint: 1n,
  date: new Date(1_767_225_600_123),
  firstDate: new Date(-8.64e15),
  lastDate: new Date(8.64e15),
  empty: '',
  text: 'caf\u00E9 cafe\u0301 \u{1F680} \0 \n " \\ \u2028 \uFFFF',
  looksLikeDate: '2026-01-01T00:00:00.000Z',
  looksLikeBigint: '42',
  emptyList: [],
  list: [1, 'two', 3n, new Date(4), null, [5, [6]], { seven: 8n }],
  emptyObject: {},
  nested: { a: { b: { c: [{ d: new Date(0) }] } } },
  // What encoders of richer JSON write themselves.
  json: { json: { a: '1' }, meta: { values: { a: ['bigint'] } } },
  $type: 'bigint',
  '': 'an empty key',
  'a.b': 'a dot',
  'a\\.b': 'an escaped dot',
  0: 'a digit',
  toString: 'a method',
  hasOwnProperty: 'another',
  'caf\u00E9': 1,
  'cafe\u0301': 2,
};

/** What cannot be kept as metadata. Made anew for each call, for some are cyclic or have state. */
export function illegalMetadata(): ReadonlyArray<readonly [string, unknown]> {
  const cyclic: Record<string, unknown> = {};
  cyclic['self'] = cyclic;
  let deep: unknown = 'bottom';
  for (let level = 0; level < 40; level++) deep = [deep];
  return [
    ['null', null],
    ['an array', ['a']],
    ['text', 'text'],
    ['a Date', new Date(0)],
    ['a Map', new Map([['a', 1]])],
    ['NaN', { value: Number.NaN }],
    ['Infinity', { value: Number.POSITIVE_INFINITY }],
    ['an invalid Date', { value: new Date(Number.NaN) }],
    ['a lone surrogate', { value: '\uD800' }],
    ['a lone surrogate in a key', { '\uD800': 1 }],
    ['a function', { value: () => 1 }],
    ['a symbol', { value: Symbol('a') }],
    ['a nested Map', { value: { inside: new Map() } }],
    ['a Set', { value: new Set() }],
    ['a Buffer', { value: Buffer.from('a') }],
    ['a RegExp', { value: /a/ }],
    ['an Error', { value: new Error('a') }],
    ['an instance of a class', { value: new URL('file:///a') }],
    ['undefined in an array', { value: [undefined] }],
    ['a cycle', cyclic],
    ['40 levels', { value: deep }],
    ['the key __proto__', JSON.parse('{"__proto__": {"polluted": true}}')],
    ['the key __proto__ inside', JSON.parse('{"a": {"__proto__": {"polluted": true}}}')],
    ['the key constructor', { constructor: 1 }],
    ['the key prototype', { prototype: 1 }],
  ];
}
