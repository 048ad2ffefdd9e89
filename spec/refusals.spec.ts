import { describe, expect, it } from '@jest/globals';
import { checkedStrategy, CommitStrategy } from '../lib/commit-strategy.js';
import { copyMetadata } from '../lib/metadata.js';
import { Offset, type OffsetInput } from '../lib/offset.js';
import { checkedResetPolicy } from '../lib/reset-policy.js';
import { applyCommit, checkCommit } from '../lib/stores/commit-rules.js';
import { InMemoryOffsetStore } from '../lib/stores/memory.js';

/**
 * What people read when they were refused, in full: what was expected, what came, and what to do. The words may
 * change; that nothing of that is missing may not.
 */
const OFFSETS = 'Expected an offset: a bigint, a safe integer >= 0, a valid Date, a string';
const MADE = `${OFFSETS}, or an object that Offset.sequence(), .timestamp(), .custom(), .earliest or .latest made; got`;
const SEQUENCES = 'Expected a sequence to be a safe integer >= 0 or a bigint from 0 to 2^64-1, got';
const TEXTS =
  "Expected the text of an offset ('seq:42' up to 2^64-1 without leading zeros, 'ts:2026-01-01T00:00:00.000Z', " +
  "'custom:…', 'earliest' or 'latest'), got";
const STORABLE =
  'metadata holds null, booleans, finite numbers, strings, bigints, valid Dates, arrays and plain objects';
const STRATEGIES =
  'Expected `strategy` to be CommitStrategy.auto, .periodic(n), .interval(ms), .eager or .manual, got';

const from = (value: unknown) => () => Offset.from(value as OffsetInput);
const now = (): Date => new Date(0);

describe('a refusal says what was expected and what came', () => {
  it.each<[string, () => unknown, string]>([
    ['no offset at all', from(null), `${OFFSETS} or an Offset, got null`],
    ['a symbol', from(Symbol('x')), `${OFFSETS} or an Offset, got a symbol`],
    ['an object that is no offset', from({}), `${MADE} an object`],
    ['an array', from([]), `${MADE} an array`],
    [
      'an unknown kind',
      from({ kind: 'x', value: 1n }),
      `${MADE} an object of kind "x" (string) and value 1n (bigint)`,
    ],
    [
      'a sequence that is a number',
      from({ kind: 'sequence', value: 1 }),
      `${MADE} an object of kind "sequence" (string) and value 1 (number)`,
    ],
    ['a negative number', from(-1), `${SEQUENCES} -1 (number)`],
    ['a bigint over 2^64-1', from(2n ** 64n), `${SEQUENCES} 18446744073709551616n (bigint)`],
    [
      'an invalid Date',
      from(new Date(Number.NaN)),
      'Expected a timestamp to be a valid Date, got an invalid Date',
    ],
    [
      'a lone surrogate',
      from('\uD800'),
      'Expected a custom offset to be a string without lone surrogates, got "\\u{d800}" (string)',
    ],
    ['text of none', () => Offset.parse('seq:01'), `${TEXTS} "seq:01"`],
    ['no text', () => Offset.parse(5 as unknown as string), `${TEXTS} 5 (number)`],
    [
      'the last sequence to increment',
      () => Offset.increment(Offset.sequence(2n ** 64n - 1n)),
      'Expected a sequence below 2^64-1 to increment, got 2^64-1: there is none after it',
    ],
    [
      'metadata that is an array',
      () => copyMetadata([]),
      `Expected a plain object at metadata, got an array: ${STORABLE}`,
    ],
    [
      'a function within metadata',
      () => copyMetadata({ a: [{ b: now }] }),
      `Expected a value that can be stored at metadata.a[0].b, got a function: ${STORABLE}`,
    ],
    [
      'a Map within metadata',
      () => copyMetadata({ a: new Map() }),
      `Expected a plain object at metadata.a, got an instance of Map: ${STORABLE}`,
    ],
    [
      'NaN within metadata',
      () => copyMetadata({ a: Number.NaN }),
      `Expected a finite number at metadata.a, got NaN (number): ${STORABLE}`,
    ],
    [
      'an invalid Date within metadata',
      () => copyMetadata({ a: new Date(Number.NaN) }),
      `Expected a valid Date at metadata.a, got an invalid Date: ${STORABLE}`,
    ],
    [
      'a lone surrogate within metadata',
      () => copyMetadata({ a: '\uD800' }),
      `Expected a string without lone surrogates at metadata.a, got "\\u{d800}" (string): ${STORABLE}`,
    ],
    [
      'a key that does harm',
      () => copyMetadata(JSON.parse('{"a":{"__proto__":1}}')),
      'Expected another key than "__proto__" at metadata.a: it cannot be stored',
    ],
    [
      'options of a strategy that are none',
      () => CommitStrategy.periodic(1, 1 as never),
      'Expected `options` to be an object or undefined, got 1 (number)',
    ],
    ['no strategy', () => checkedStrategy(null), `${STRATEGIES} null`],
    ['a strategy by name', () => checkedStrategy('auto'), `${STRATEGIES} "auto" (string)`],
    ['a strategy of an unknown kind', () => checkedStrategy({ kind: 'x' }), `${STRATEGIES} "x" (string)`],
    ['an object without a kind', () => checkedStrategy({}), `${STRATEGIES} an object`],
    [
      'an unknown reset policy',
      () => checkedResetPolicy('newest'),
      "Expected `resetPolicy` to be 'earliest', 'latest' or 'none', got \"newest\" (string)",
    ],
    [
      'allowRegression that is no boolean',
      () => checkCommit(1, { allowRegression: 1 as unknown as boolean }),
      'Expected `allowRegression` to be a boolean, got 1 (number)',
    ],
    [
      'an epoch below 0',
      () => checkCommit(1, { epoch: -1 }),
      'Expected `epoch` to be an integer from 0 to 9007199254740991, got -1 (number)',
    ],
    [
      'options that are none',
      () => checkCommit(1, 1 as never),
      'Expected `options` to be an object or undefined, got 1 (number)',
    ],
    [
      'offsets to begin with that are none',
      () => new InMemoryOffsetStore(5 as never),
      'Expected `initial` to be a Map, entries or an object of offsets, got 5 (number)',
    ],
    [
      'a commit under another epoch',
      () => applyCommit('orders', { epoch: 2 }, checkCommit(5, { epoch: 1 }), now),
      'Commit of "seq:5" for source "orders" was made under epoch 1, and the source is at epoch 2: it was reset, ' +
        'cleared or claimed by another',
    ],
    [
      'a commit that lies before',
      () =>
        applyCommit(
          'orders',
          { offset: Offset.sequence(6), epoch: 0, committedAt: now() },
          checkCommit(5, undefined),
          now,
        ),
      'Offset "seq:5" lies before "seq:6", which is already committed for source "orders"; nothing was changed. ' +
        'To go back on purpose, use reset()',
    ],
  ])('%s', (_, refused, message) => {
    expect(refused).toThrow(new Error(message));
  });
});
