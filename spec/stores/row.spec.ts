import { beforeAll, describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import { SuperJSON } from 'superjson';
import { OffsetSerializationError } from '../../lib/errors.js';
import { copyMetadata, type Metadata, metadataEquals, type MetadataValue } from '../../lib/metadata.js';
import { Offset } from '../../lib/offset.js';
import type { SourceState } from '../../lib/stores/commit-rules.js';
import {
  decodeEpoch,
  decodeRow,
  encodeMetadata,
  encodePosition,
  encodeRow,
  loadSerializer,
  needsSerializer,
  rowNeedsSerializer,
  type StoredRow,
} from '../../lib/stores/row.js';
import { LEGAL_METADATA, OFFSETS, SEQUENCES, TIMES_MS } from '../../lib/testing/samples.js';

// Before anything loads superjson.
const before = {
  plain: needsSerializer({ host: 'a' }),
  bigint: needsSerializer({ deep: [{ n: 1n }] }),
  plainRow: rowNeedsSerializer({ metadata: '{"json":{"host":"a"}}' }),
  dateRow: rowNeedsSerializer({ metadata: '{"json":{"a":"1"},"meta":{"values":{"a":["bigint"]},"v":1}}' }),
};

beforeAll(loadSerializer);

const text = (): fc.Arbitrary<string> =>
  fc.string({ unit: 'binary' }).filter((value) => value.isWellFormed());
const key = fc
  .oneof(text(), fc.constantFrom('', 'a.b', 'a\\.b', '\\', '0', 'json', 'meta'))
  .filter((name) => !['__proto__', 'constructor', 'prototype'].includes(name));
const { anyMetadata } = fc.letrec<{ value: MetadataValue; anyMetadata: Metadata }>((tie) => ({
  value: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    fc.constantFrom(null, true, false),
    fc.double({ noNaN: true, noDefaultInfinity: true }).map((value) => (value === 0 ? 0 : value)),
    fc.bigInt(),
    fc.date({ noInvalidDate: true }),
    text(),
    fc.array(tie('value'), { maxLength: 4 }),
    tie('anyMetadata'),
  ),
  anyMetadata: fc.dictionary(key, tie('value'), { maxKeys: 5, noNullPrototype: true }),
}));

const sequences = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });
const times = fc.oneof(
  fc.date({ noInvalidDate: true }),
  fc.constantFrom(...TIMES_MS.map((ms) => new Date(ms))),
);
const offsets: fc.Arbitrary<Offset> = fc.oneof(
  sequences.map((value) => Offset.sequence(value)),
  times.map((value) => Offset.timestamp(value)),
  text().map((value) => Offset.custom(value)),
  fc.constantFrom(...OFFSETS),
);
const states: fc.Arbitrary<SourceState> = fc.oneof(
  fc.record({ epoch: fc.maxSafeNat() }),
  fc
    .record(
      {
        offset: offsets,
        epoch: fc.maxSafeNat(),
        metadata: anyMetadata,
        committedAt: fc.date({ noInvalidDate: true }),
      },
      { requiredKeys: ['offset', 'epoch', 'committedAt'] },
    )
    .map((state) => state as SourceState),
);

/** The same metadata, the keys of its objects the other way round. */
function turned(value: MetadataValue | undefined): MetadataValue | undefined {
  if (typeof value !== 'object' || value === null || value instanceof Date) return value;
  if (Array.isArray(value)) return value.map(turned) as MetadataValue[];
  return Object.fromEntries(
    Object.entries(value)
      .toReversed()
      .map(([name, item]) => [name, turned(item)]),
  );
}

describe('a row', () => {
  it('gives back what was kept', () => {
    fc.assert(
      fc.property(states, (state) => {
        expect(decodeRow('orders', encodeRow('orders', state))).toEqual(state);
      }),
      { numRuns: 500 },
    );
  });

  it('gives back every offset and all metadata of the samples', () => {
    for (const offset of OFFSETS) {
      const state = { offset, epoch: 3, metadata: copyMetadata(LEGAL_METADATA), committedAt: new Date(5) };
      expect(decodeRow('orders', encodeRow('orders', state))).toEqual(state);
    }
  });

  it('is read in the types that drivers give: bigints, text, and undefined for what is null', () => {
    const row = encodeRow('orders', { offset: Offset.sequence(5), epoch: 7, committedAt: new Date(-5) });
    const state = { offset: Offset.sequence(5), epoch: 7, committedAt: new Date(-5) };
    expect(decodeRow('orders', { ...row, epoch: 7n, committedAt: -5n })).toEqual(state);
    expect(decodeRow('orders', { ...row, epoch: '7', committedAt: '-5', metadata: undefined })).toEqual(
      state,
    );
    expect(decodeRow('orders', { epoch: '0' })).toEqual({ epoch: 0 });
    expect(decodeEpoch('orders', '12')).toBe(12);
  });

  it('never holds U+0000, at which databases end a text or refuse it', () => {
    fc.assert(
      fc.property(states, (state) => {
        const { position, metadata } = encodeRow('orders', state);
        expect(`${position}${metadata}`).not.toContain('\0');
      }),
    );
  });
});

describe('a position', () => {
  it('is as wide as every other of its kind, and its text has the order of the offsets', () => {
    const ordered = fc.oneof(
      fc.tuple(sequences, sequences).map((pair) => pair.map((value) => Offset.sequence(value))),
      fc.tuple(times, times).map((pair) => pair.map((value) => Offset.timestamp(value))),
    );
    fc.assert(
      fc.property(ordered, ([a, b]) => {
        const [left, right] = [Buffer.from(encodePosition(a!)), Buffer.from(encodePosition(b!))];
        expect(left).toHaveLength(right.length);
        expect(Math.sign(Buffer.compare(left, right))).toBe(Offset.compare(a!, b!));
      }),
      { numRuns: 500 },
    );
  });

  it.each([
    ['sequences', SEQUENCES.map((value) => Offset.sequence(value))],
    ['timestamps', TIMES_MS.map((ms) => Offset.timestamp(new Date(ms)))],
  ])('sorts the extremes of %s', (_, rising) => {
    const positions = rising.map(encodePosition);
    expect(positions.toSorted()).toEqual(positions);
    expect(new Set(positions).size).toBe(positions.length);
  });

  it('is another for every other custom offset', () => {
    fc.assert(
      fc.property(text(), text(), (a, b) => {
        expect(encodePosition(Offset.custom(a)) === encodePosition(Offset.custom(b))).toBe(a === b);
      }),
    );
    const close = ['\0', '\\0', '\\\\0', '\\\0', '0', ''].map((value) =>
      encodePosition(Offset.custom(value)),
    );
    expect(new Set(close).size).toBe(close.length);
  });

  it('can be read by people', () => {
    expect(encodePosition(Offset.sequence(42))).toBe('00000000000000000042');
    expect(encodePosition(Offset.timestamp(new Date(1_767_225_600_000)))).toBe('10001767225600000');
    expect(encodePosition(Offset.custom('line-5'))).toBe('line-5');
    expect(encodePosition(Offset.earliest)).toBe('');
  });
});

describe('metadata', () => {
  it('is equal text when it is equal, whatever the order of its keys', () => {
    fc.assert(
      fc.property(anyMetadata, (metadata) => {
        const other = turned(metadata) as Metadata;
        expect(metadataEquals(metadata, other)).toBe(true);
        expect(encodeMetadata('orders', other)).toBe(encodeMetadata('orders', metadata));
      }),
      { numRuns: 300 },
    );
  });

  it('is other text when it is not equal', () => {
    fc.assert(
      fc.property(anyMetadata, anyMetadata, (a, b) => {
        expect(encodeMetadata('orders', a) === encodeMetadata('orders', b)).toBe(metadataEquals(a, b));
      }),
      { numRuns: 300 },
    );
    expect(encodeMetadata('orders', { at: '1970-01-01T00:00:00.000Z' })).not.toBe(
      encodeMetadata('orders', { at: new Date(0) }),
    );
  });

  it('is what superjson writes and any superjson reads', () => {
    const superjson = new SuperJSON();
    fc.assert(
      fc.property(anyMetadata, (metadata) => {
        const written = encodeMetadata('orders', metadata);
        expect(superjson.parse(written)).toEqual(metadata);
        expect(JSON.stringify(superjson.serialize(superjson.parse(written)))).toBe(written);
      }),
      { numRuns: 300 },
    );
  });

  it('needs superjson only for a bigint or a Date', () => {
    expect(before).toEqual({ plain: false, bigint: true, plainRow: false, dateRow: true });
  });
});

describe('damage', () => {
  const whole = {
    kind: 'sequence',
    position: '00000000000000000005',
    metadata: '{"json":{"host":"a","n":"1"},"meta":{"values":{"n":["bigint"]},"v":1}}',
    epoch: 0,
    committedAt: 1_767_225_600_000,
  };
  const annotated = (annotation: string): string =>
    `{"json":{"a":"1"},"meta":{"values":{${annotation}},"v":1}}`;

  it.each<[string, StoredRow]>([
    ['no epoch', { epoch: null }],
    ['a negative epoch', { epoch: -1 }],
    ['an epoch over 2^53-1', { epoch: 2n ** 53n }],
    ['an epoch that is no number', { epoch: 'one' }],
    ['an empty epoch', { epoch: '' }],
    ['an unknown kind', { kind: 'middle' }],
    ['a kind that every object has', { kind: 'constructor' }],
    ['a kind that is no text', { kind: 5 }],
    ['a kind without a position', { position: null }],
    ['a position without a kind', { kind: null, metadata: null, committedAt: null }],
    ['metadata without a kind', { kind: null, position: null, committedAt: null }],
    ['a sequence of 19 digits', { position: '0000000000000000005' }],
    ['a sequence over 2^64-1', { position: '18446744073709551616' }],
    ['a sequence that is no number', { position: 'x'.repeat(20) }],
    ['a timestamp of 16 digits', { kind: 'timestamp', position: '1'.repeat(16) }],
    ['a timestamp that no Date holds', { kind: 'timestamp', position: '18640000000000001' }],
    ['a custom offset with a lone backslash', { kind: 'custom', position: 'a\\' }],
    ['a custom offset with an escape of nothing', { kind: 'custom', position: 'a\\b' }],
    ['earliest with a position', { kind: 'earliest', position: '0' }],
    ['no time of commit', { committedAt: null }],
    ['a time of commit that no Date holds', { committedAt: 8.64e15 + 1 }],
    ['a time of commit that is no number', { committedAt: '2026-01-01' }],
    ['metadata that is no text', { metadata: {} }],
    ['metadata that is no JSON', { metadata: '{' }],
    ['metadata that is no object', { metadata: '{"json":[]}' }],
    ['metadata of null', { metadata: '{"json":null}' }],
    ['metadata in another envelope', { metadata: '{"host":"a"}' }],
    ['metadata with something beside', { metadata: '{"json":{},"more":1}' }],
    ['metadata written with spaces', { metadata: '{"json": {}}' }],
    ['metadata with its keys in another order', { metadata: '{"json":{"b":1,"a":1}}' }],
    ['metadata with a key twice', { metadata: '{"json":{"a":1,"a":1}}' }],
    ['metadata with the key __proto__', { metadata: '{"json":{"__proto__":{"polluted":true}}}' }],
    ['an annotation that is never written', { metadata: annotated('"a":["regexp"]') }],
    ['an annotation of a class', { metadata: annotated('"a":[["class","Error"]]') }],
    ['an annotation that leads into a prototype', { metadata: annotated('"__proto__.polluted":["bigint"]') }],
    ['an annotation of what is not there', { metadata: annotated('"b":["bigint"]') }],
    ['an empty text as a bigint', { metadata: '{"json":{"a":""},"meta":{"values":{"a":["bigint"]},"v":1}}' }],
    ['an invalid Date', { metadata: annotated('"a":["Date"]').replace('"1"', '"never"') }],
  ])('is seen: %s', (_, change) => {
    expect(decodeRow('orders', whole)).toMatchObject({ metadata: { host: 'a', n: 1n } });
    let thrown: unknown;
    try {
      decodeRow('orders', { ...whole, ...change });
    } catch (error) {
      thrown = error;
    }
    expect(thrown).toBeInstanceOf(OffsetSerializationError);
    expect(thrown).toMatchObject({
      code: 'OFFSET_CORRUPT',
      source: 'orders',
      message: expect.stringMatching(/^What is stored for source "orders" is damaged: it has /),
      cause: expect.anything(),
    });
    expect(({} as { polluted?: unknown }).polluted).toBeUndefined();
  });

  it('is refused as an epoch, too', () => {
    expect(() => decodeEpoch('orders', null)).toThrow(expect.objectContaining({ code: 'OFFSET_CORRUPT' }));
  });
});
