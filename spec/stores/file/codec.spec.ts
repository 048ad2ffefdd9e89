import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { beforeAll, describe, expect, it, jest } from '@jest/globals';
import * as fc from 'fast-check';
import { SuperJSON } from 'superjson';
import type { Checkpoint } from '../../../lib/checkpoint.js';
import { Offset } from '../../../lib/offset.js';
import type { Metadata } from '../../../lib/metadata.js';
import type { SourceState } from '../../../lib/stores/commit-rules.js';
import {
  claims,
  type Contents,
  decode,
  decodeLine,
  encode,
  encodeCheckpoint,
  encodeEntry,
  FormatError,
  loadSerializer,
  proveMetadata,
} from '../../../lib/stores/file/codec.js';
import { Entries } from '../../../lib/stores/file/entries.js';

const golden = join(__dirname, 'fixtures', 'version-1.offsets');
const written = new Date('2026-01-02T03:04:05.678Z');

const goldenStates: [string, SourceState][] = [
  ['orders', { offset: Offset.sequence(18_446_744_073_709_551_615n), epoch: 3, committedAt: written }],
  ['__proto__', { offset: Offset.sequence(0n), epoch: 0, committedAt: written }],
  ['a.b\\c "quoted"\n', { offset: Offset.custom('line-5 "x"\u2028'), epoch: 0, committedAt: written }],
  ['übergröße/🚚', { offset: Offset.timestamp(new Date(-1)), epoch: 1, committedAt: written }],
  ['start', { offset: Offset.earliest, epoch: 0, committedAt: written }],
  ['end', { offset: Offset.latest, epoch: 0, committedAt: written }],
  [
    'with metadata',
    {
      offset: Offset.sequence(7n),
      epoch: 0,
      metadata: {
        '': null,
        'dotted.key\\': new Date(5),
        big: -(2n ** 70n),
        list: [1, 'two', { three: 3n }, [new Date(0)]],
        flat: true,
      },
      committedAt: written,
    },
  ],
  [
    'plain metadata',
    { offset: Offset.latest, epoch: 9, metadata: { host: 'a', lag: 1.5 }, committedAt: written },
  ],
  ['cleared', { epoch: 12 }],
];

function entriesOf(states: Iterable<readonly [string, SourceState]>): Entries {
  return Entries.NONE.with(Array.from(states, ([source, state]) => encodeEntry(source, state)));
}

function statesOf(contents: Contents): [string, SourceState][] {
  return contents.entries.list.map(({ source, state }) => [source, state]);
}

const wellFormed = (options: fc.StringConstraints = {}) => fc.string({ unit: 'grapheme', ...options });

const anyOffset = fc.oneof(
  fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }).map((n) => Offset.sequence(n)),
  fc.date({ noInvalidDate: true }).map((date) => Offset.timestamp(date)),
  wellFormed().map((text) => Offset.custom(text)),
  fc.constant(Offset.earliest),
  fc.constant(Offset.latest),
);

const key = wellFormed({ maxLength: 8 }).filter(
  (k) => !['__proto__', 'constructor', 'prototype'].includes(k),
);
const { value: anyMetadataValue } = fc.letrec((tie) => ({
  value: fc.oneof(
    { maxDepth: 3, withCrossShrink: true },
    fc.oneof(
      fc.constant(null),
      fc.boolean(),
      fc.double({ noNaN: true, noDefaultInfinity: true }).map((n) => (n === 0 ? 0 : n)),
      wellFormed(),
      fc.bigInt(),
      fc.date({ noInvalidDate: true }),
    ),
    fc.array(tie('value'), { maxLength: 3 }),
    fc.dictionary(key, tie('value'), { maxKeys: 3, noNullPrototype: true }),
  ),
}));
const anyMetadata = fc.dictionary(key, anyMetadataValue, {
  maxKeys: 4,
  noNullPrototype: true,
}) as fc.Arbitrary<Metadata>;

const anyState: fc.Arbitrary<SourceState> = fc.oneof(
  fc.record({ epoch: fc.maxSafeNat() }),
  fc
    .record(
      {
        offset: anyOffset,
        epoch: fc.maxSafeNat(),
        metadata: anyMetadata,
        committedAt: fc.date({ noInvalidDate: true }),
      },
      { requiredKeys: ['offset', 'epoch', 'committedAt'] },
    )
    .map((state) => state as SourceState),
);

const anySource = wellFormed({ minLength: 1, maxLength: 20 }).filter((source) => !source.includes('\0'));

beforeAll(async () => {
  await loadSerializer();
});

describe('the format', () => {
  it('is the one of the golden file, for ever', () => {
    const { bytes } = encode(41, entriesOf(goldenStates));
    expect(readFileSync(golden).equals(bytes)).toBe(true);
    const read = decode(readFileSync(golden), new Date());
    expect(read.generation).toBe(41);
    expect(statesOf(read)).toEqual(goldenStates);
  });

  it('is one JSON document, whose checkpoints any superjson reads', () => {
    const document = JSON.parse(readFileSync(golden, 'utf8')) as {
      format: string;
      version: number;
      count: number;
      sources: { source: string; checkpoint: never }[];
    };
    expect(document).toMatchObject({ format: 'streamweave-offset', version: 1, count: goldenStates.length });
    const superjson = new SuperJSON();
    expect(
      document.sources.map(({ source, checkpoint }) => [source, superjson.deserialize(checkpoint)]),
    ).toEqual(goldenStates);
  });

  it('holds in its header the checksum of all that follows the first line', () => {
    const bytes = readFileSync(golden);
    const end = bytes.indexOf('\n') + 1;
    const digest = createHash('sha256').update(bytes.subarray(end)).digest('hex');
    expect(bytes.toString('utf8', 0, end)).toContain(`"sha256":"${digest}"`);
  });

  it('is for every checkpoint what superjson makes of it', () => {
    const superjson = new SuperJSON();
    fc.assert(
      fc.property(anyState, (state) => {
        const { offset, epoch, committedAt, metadata } = state as Checkpoint;
        const inOrder = {
          ...(offset === undefined ? undefined : { offset }),
          epoch,
          ...(offset === undefined ? undefined : { committedAt }),
          ...(metadata === undefined ? undefined : { metadata }),
        };
        const text = encodeCheckpoint(state);
        expect(text).toBe(JSON.stringify(superjson.serialize(inOrder)));
        expect(superjson.parse(text)).toEqual(state);
      }),
      { numRuns: 300 },
    );
  });

  it('comes back as it was written', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(anySource, anyState), { maxLength: 6 }),
        fc.integer({ min: 1 }),
        (states, generation) => {
          const contents = encode(generation, entriesOf(states));
          const read = decode(contents.bytes, new Date());
          expect(statesOf(read)).toEqual(statesOf(contents));
          expect(read).toMatchObject({ generation, digest: contents.digest });
          for (const [source] of states)
            expect(read.entries.get(source)).toEqual(contents.entries.get(source));
        },
      ),
      { numRuns: 60 },
    );
  });

  it('is the same whether a file is patched or written anew', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(anySource, anyState), { maxLength: 6 }),
        fc.array(fc.tuple(anySource, anyState), { maxLength: 3 }),
        fc.array(fc.nat()),
        (states, added, replaced) => {
          const before = encode(1, entriesOf(states));
          const changes = replaced.flatMap((index) => {
            const entry = before.entries.list[index % Math.max(1, before.entries.size)];
            return entry === undefined ? [] : [encodeEntry(entry.source, { epoch: index })];
          });
          const entries = before.entries.with([...changes, ...entriesOf(added).list]);
          const patched = encode(2, entries, before);
          const anew = encode(2, entries);
          expect(patched.bytes.equals(anew.bytes)).toBe(true);
          expect(patched.digest).toBe(anew.digest);
        },
      ),
      { numRuns: 300 },
    );
  });

  it('decodes again only the lines that changed', () => {
    const before = encode(1, entriesOf(goldenStates));
    const entries = before.entries.with([encodeEntry('orders', { epoch: 4 })]);
    const after = decode(encode(2, entries).bytes, new Date(), before);
    expect(after.entries.get('orders')?.state).toEqual({ epoch: 4 });
    expect(after.entries.get('with metadata')).toBe(before.entries.get('with metadata'));
  });

  it('takes what did not change from the bytes of before', () => {
    const before = encode(1, entriesOf(goldenStates));
    // Lines that would be noticed, if they were written.
    const list = before.entries.list.map((entry) => ({ ...entry, line: 'x'.repeat(entry.size) }));
    const unread = { ...before, entries: Entries.of(list) };
    const changes = [encodeEntry('orders', { epoch: 4 }), encodeEntry('new', { epoch: 5 })];
    const { bytes } = encode(2, unread.entries.with(changes), unread);
    expect(bytes.equals(encode(2, before.entries.with(changes)).bytes)).toBe(true);
  });

  it('proves metadata before it is written', () => {
    fc.assert(
      fc.property(anyMetadata, (metadata) => proveMetadata('orders', metadata)),
      { numRuns: 300 },
    );
    expect(() => proveMetadata('orders', { bad: new Date(Number.NaN) })).toThrow(
      expect.objectContaining({ code: 'OFFSET_SERIALIZATION', source: 'orders' }),
    );
  });
});

/** The line of this text, with the right check before it. */
function checkedLine(text: string): string {
  return `{"check":"${crc32(text).toString(16).padStart(8, '0')}",${text}`;
}

function failureOf(bytes: Buffer): unknown {
  try {
    decode(Buffer.from(bytes), new Date());
    return undefined;
  } catch (error) {
    return error;
  }
}

describe('damage', () => {
  const bytes = readFileSync(golden);

  it('is seen at every length that the file can be cut to', () => {
    for (let length = 0; length < bytes.length; length++) {
      expect(failureOf(bytes.subarray(0, length))).toBeInstanceOf(FormatError);
    }
  });

  it('is seen in every single bit', () => {
    expect(bytes.length).toBeGreaterThan(2000);
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      const flipped = Buffer.from(bytes);
      flipped.writeUInt8(flipped.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3);
      const error = failureOf(flipped);
      if (!(error instanceof FormatError)) throw new Error(`bit ${bit} was not seen`);
      // Whatever bit it is, the file is still known for one of ours; or, in the digit of the version, a newer one.
      expect(['damaged', 'newer']).toContain(error.kind);
    }
  });

  it('is seen in random changes', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(bytes.length - 1), fc.integer({ min: 1, max: 255 })), {
          minLength: 1,
          maxLength: 6,
        }),
        fc.array(fc.nat(255), { maxLength: 3 }),
        (changes, more) => {
          const changed = Buffer.concat([bytes, Buffer.from(more)]);
          for (const [at, by] of changes) changed.writeUInt8(changed.readUInt8(at) ^ by, at);
          if (changed.equals(bytes)) return;
          expect(() => decode(changed, new Date())).toThrow(FormatError);
        },
      ),
      { numRuns: 300 },
    );
  });

  it.each([
    ['nothing', '', 'damaged'],
    ['NULs', '\0'.repeat(64), 'damaged'],
    ['an empty object', '{}', 'foreign'],
    ['an empty list', '[]', 'foreign'],
    ['null', 'null', 'foreign'],
    ['a list of offsets', '[1,2]', 'foreign'],
    ['text', 'hello\n', 'foreign'],
    ['what another tool wrote', '{"name":"x","version":"1.0.0"}', 'foreign'],
    [
      'a package.json that depends on us',
      '{"name":"x","dependencies":{"streamweave-offset":"^1.0.0"}}',
      'foreign',
    ],
    ['a list of checksums', '{"file":"x","sha256":"0a1b"}', 'foreign'],
    [
      'what superjson makes of a Map',
      '{"json":[["a","1"]],"meta":{"values":["map",{"0.1":["bigint"]}]}}',
      'foreign',
    ],
    ['ours, formatted anew', JSON.stringify(JSON.parse(readFileSync(golden, 'utf8')), null, 2), 'damaged'],
    ['a newer version', '{"format":"streamweave-offset","version":2,"anything":[]}', 'newer'],
    ['a newer version, formatted', '{\n  "format": "streamweave-offset",\n  "version": 17\n}', 'newer'],
    ['a newer version, spaced', ' { "format" : "streamweave-offset" , "version" : 2 }', 'newer'],
    ['a newer version inside of something', '[{"format":"streamweave-offset","version":2}]', 'damaged'],
    ['a version that is none', '{"format":"streamweave-offset","version":1.5}', 'damaged'],
  ])('knows %s for what it is', (_name, text, kind) => {
    expect(() => decode(Buffer.from(text), new Date())).toThrow(expect.objectContaining({ kind }));
  });
});

describe('what a file claims', () => {
  it('is what stands right after its first line', () => {
    const states = Array.from({ length: 12 }, (_, n): [string, SourceState] => [`s${n}`, { epoch: n }]);
    const { bytes } = encode(345, entriesOf(states));
    expect(claims(bytes)).toEqual({ generation: 345, count: 12 });
    const header = bytes.indexOf('\n') + 1;
    const moved = [bytes.subarray(0, header), Buffer.from(' '), bytes.subarray(header)];
    expect(claims(Buffer.concat(moved))).toBeUndefined();
    expect(claims(Buffer.alloc(0))).toBeUndefined();
  });
});

describe('the serializer', () => {
  it('is wanted only for metadata, and only once', async () => {
    await jest.isolateModulesAsync(async () => {
      const codec = await import('../../../lib/stores/file/codec.js');
      const plain = codec.encode(1, entriesOf([['a', { epoch: 1 }]])).bytes;
      const rich = readFileSync(golden);
      expect([codec.needsSerializer(plain), codec.needsSerializer(rich)]).toEqual([false, true]);
      await codec.loadSerializer();
      expect([codec.needsSerializer(plain), codec.needsSerializer(rich)]).toEqual([false, false]);
    });
  });
});

describe('a file with a right checksum and wrong content', () => {
  function forge(lines: readonly string[], count = lines.length, generation = '1'): Buffer {
    const body = `"generation":${generation},"count":${count},"sources":[\n${lines.join(',\n')}${lines.length > 0 ? '\n' : ''}]}\n`;
    return sealed(body);
  }
  /** With the right header before it. */
  function sealed(body: string | Buffer): Buffer {
    const digest = createHash('sha256').update(body).digest('hex');
    const header = `{"format":"streamweave-offset","version":1,"sha256":"${digest}",\n`;
    return Buffer.concat([Buffer.from(header), Buffer.from(body)]);
  }
  /** With the right check in it. */
  function checked(text: string): string {
    return checkedLine(text.slice('{"check":"01234567",'.length));
  }
  function line(source: string, checkpoint: string): string {
    return checkedLine(`"source":${source},"checkpoint":${checkpoint}}`);
  }
  const json = '"epoch":0,"committedAt":"2026-01-01T00:00:00.000Z"';
  const plain = (value: string, more = '', values = '"offset.value":["bigint"],"committedAt":["Date"]') =>
    `{"json":{"offset":{"kind":"sequence","value":${value}},${json}${more}},"meta":{"values":{${values}},"v":1}}`;

  it('is told apart from a right one by nothing but that', () => {
    expect(statesOf(decode(forge([line('"a"', plain('"1"'))]), new Date()))).toEqual([
      ['a', { offset: Offset.sequence(1n), epoch: 0, committedAt: new Date('2026-01-01') }],
    ]);
  });

  it.each<[string, Buffer]>([
    ['a count too high', forge([line('"a"', plain('"1"'))], 2)],
    ['a count too low', forge([line('"a"', plain('"1"'))], 0)],
    ['a generation of 0', forge([], 0, '0')],
    ['a generation beyond what a number can hold', forge([], 0, '9999999999999999')],
    ['the same source twice', forge([line('"a"', plain('"1"')), line('"a"', plain('"2"'))])],
    ['an empty name', forge([line('""', plain('"1"'))])],
    ['a name with U+0000', forge([line('"\\u0000"', plain('"1"'))])],
    ['a name with a lone surrogate', forge([line('"\\ud800"', plain('"1"'))])],
    ['a name written in another way', forge([line('"\\u0061"', plain('"1"'))])],
    ['a raw control character in a name', forge([line('"a\tb"', plain('"1"'))])],
    ['a wrong check', forge([line('"a"', plain('"1"')).replace(/"check":"./, '"check":"z')])],
    ['an empty bigint', forge([line('"a"', plain('""'))])],
    ['a leading zero', forge([line('"a"', plain('"01"'))])],
    ['a hexadecimal number', forge([line('"a"', plain('"0x1"'))])],
    ['a negative number', forge([line('"a"', plain('"-1"'))])],
    ['2^64', forge([line('"a"', plain('"18446744073709551616"'))])],
    ['a number for a bigint', forge([line('"a"', plain('1'))])],
    ['no meta', forge([line('"a"', `{"json":{"offset":{"kind":"sequence","value":"1"},${json}}}`)])],
    ['a missing annotation', forge([line('"a"', plain('"1"', '', '"committedAt":["Date"]'))])],
    ['an unknown field', forge([line('"a"', plain('"1"', ',"x":1'))])],
    ['a duplicate key', forge([line('"a"', plain('"1"', ',"epoch":0'))])],
    ['a space', forge([line('"a"', plain('"1"').replace(',', ', '))])],
    ['an unknown kind', forge([line('"a"', plain('"1"').replace('sequence', 'sequences'))])],
    ['a negative epoch', forge([line('"a"', plain('"1"').replace('"epoch":0', '"epoch":-1'))])],
    ['an epoch of 2^53', forge([line('"a"', plain('"1"').replace('"epoch":0', '"epoch":9007199254740992'))])],
    ['a date that is none', forge([line('"a"', plain('"1"').replace('2026-01-01', '2026-02-30'))])],
    ['a date without milliseconds', forge([line('"a"', plain('"1"').replace('.000Z', 'Z'))])],
    ['a tombstone with more', forge([line('"a"', '{"json":{"epoch":1,"metadata":{}}}')])],
    ['an empty checkpoint', forge([line('"a"', '{}')])],
    ['a time that is a number', forge([line('"a"', plain('"1"').replace(/"2026[^"]*"/, '5'))])],
    ['a sequence of a million digits', forge([line('"a"', plain(`"${'9'.repeat(1e6)}"`))])],
    ['a checkpoint that is null', forge([line('"a"', 'null')])],
    ['metadata that is a list', forge([line('"a"', plain('"1"', ',"metadata":[]'))])],
    ['metadata with __proto__', forge([line('"a"', plain('"1"', ',"metadata":{"__proto__":{"x":1}}'))])],
    ['metadata with constructor', forge([line('"a"', plain('"1"', ',"metadata":{"constructor":{"x":1}}'))])],
    [
      'metadata nested deeper than it may be',
      forge([line('"a"', plain('"1"', `,"metadata":{"x":${'['.repeat(40)}${']'.repeat(40)}}`))]),
    ],
    [
      'metadata nested a million deep',
      forge([line('"a"', plain('"1"', `,"metadata":{"x":${'['.repeat(1e6)}${']'.repeat(1e6)}}`))]),
    ],
  ])('is refused: %s', (_name, bytes) => {
    expect(() => decode(bytes, new Date())).toThrow(expect.objectContaining({ kind: 'damaged' }));
  });

  it.each<[string, Buffer]>([
    ['it says that it holds 2 sources, and holds 1', forge([line('"a"', plain('"1"'))], 2)],
    [
      'its last line has no end',
      sealed(`"generation":1,"count":1,"sources":[\n${line('"a"', plain('"1"'))}]}\n`),
    ],
    ['it does not begin and end as we write it', sealed('"generation":1,"count":0,"sources":[\n')],
    ['it does not begin and end as we write it', sealed(' "generation":1,"count":0,"sources":[\n]}\n')],
    ['it is not UTF-8', sealed(Buffer.from('"generation":1,"count":0,"sources":[\n\xff]}\n', 'latin1'))],
    ['a source stands in it twice', forge([line('"a"', plain('"1"')), line('"a"', plain('"2"'))])],
    ['its generation is none', forge([], 0, '9999999999999999')],
    [
      'a line that is not the one its check was made of',
      forge([line('"a"', plain('"1"')).replace(/"check":"./, '"check":"z')]),
    ],
    ['a line that is not written as we write it', forge([line('5', plain('"1"'))])],
    ['a line that is not written as we write it', forge([`${line('"a"', plain('"1"'))} `].map(checked))],
    ['a name that is not written as we write it', forge([line('"\\u0061"', plain('"1"'))])],
    ['an epoch that is none', forge([line('"a"', '{"json":{"epoch":-1}}')])],
    ['an offset of no kind that there is', forge([line('"a"', plain('"1"').replace('sequence', 'number'))])],
    ['a checkpoint that is not written as we write it', forge([line('"a"', '{"json":{"epoch":1} }')])],
    ['it is empty', Buffer.alloc(0)],
    ['it is 3 NUL bytes', Buffer.alloc(3)],
    ['its first line is not as it was written', Buffer.from('\0{"check":"\0')],
    [
      'its first line is not as it was written',
      Buffer.concat([Buffer.from(forge([]).toString('latin1').replace('",\n', '"\n\n'), 'latin1')]),
    ],
  ])('is told: %s', (message, bytes) => {
    const error = failureOf(bytes) as FormatError;
    expect(error).toMatchObject({ kind: 'damaged', message });
    expect('cause' in error).toBe(false);
  });

  it('tells what a part of it made of a line that cannot be', () => {
    const error = failureOf(forge([line('""', plain('"1"'))])) as FormatError;
    expect(error.message).toMatch(/^a line that says what cannot be \(Expected .+\)$/);
    expect(error.cause).toBeInstanceOf(RangeError);
  });

  it('tells what it looked for in a file of something else', () => {
    expect(failureOf(Buffer.from('hello'))).toMatchObject({
      kind: 'foreign',
      message:
        'it is not an offsets file, neither of this library nor of the Rust crate (expected "{" at character 0)',
    });
  });

  it.each([
    ['a regular expression', '"metadata.x":["regexp"]'],
    ['an error', '"metadata.x":["Error"]'],
    ['a URL', '"metadata.x":["URL"]'],
    ['a Map', '"metadata.x":["map"]'],
    ['a Set', '"metadata.x":["set"]'],
    ['undefined', '"metadata.x":["undefined"]'],
    ['a number', '"metadata.x":["number"]'],
    ['a class', '"metadata.x":[["class","Foo"]]'],
    ['a symbol', '"metadata.x":[["symbol","Foo"]]'],
    ['a custom type', '"metadata.x":[["custom","Foo"]]'],
    ['a typed array', '"metadata.x":[["typed-array","Int8Array"]]'],
    ['a tree', '"metadata.x":["Date",{"y":["Date"]}]'],
    ['what is not there', '"metadata.y":["Date"]'],
    ['the prototype', '"metadata.__proto__.polluted":["Date"]'],
    ['the constructor', '"metadata.constructor.prototype.polluted":["Date"]'],
    ['a method of the prototype', '"metadata.toString.polluted":["Date"]'],
  ])('is refused with an annotation for %s, and nothing is polluted', (_name, annotation) => {
    const values = `"offset.value":["bigint"],"committedAt":["Date"],${annotation}`;
    const bytes = forge([line('"a"', plain('"1"', ',"metadata":{"x":"1"}', values))]);
    expect(() => decode(bytes, new Date())).toThrow(expect.objectContaining({ kind: 'damaged' }));
    expect(({} as { polluted?: unknown }).polluted).toBeUndefined();
    expect(
      Object.hasOwn(
        Object.getOwnPropertyDescriptor(Object.prototype, 'toString')?.value as object,
        'polluted',
      ),
    ).toBe(false);
  });

  it('is refused where meta says that objects are the same', () => {
    const checkpoint = plain('"1"', ',"metadata":{"x":{},"y":null}').replace(
      ',"v":1',
      ',"referentialEqualities":{"metadata.x":["metadata.y"]},"v":1',
    );
    expect(() => decode(forge([line('"a"', checkpoint)]), new Date())).toThrow(FormatError);
  });

  it('is refused where bytes are no UTF-8', () => {
    const bytes = forge([line('"a"', plain('"1"'))]);
    const body = Buffer.from(bytes.subarray(bytes.indexOf('\n') + 1));
    body.writeUInt8(0xff, body.indexOf('"a"') + 1);
    expect(() => decode(sealed(body), new Date())).toThrow(FormatError);
  });
});

describe('a plain line', () => {
  it('says by the short way what it says by the long one', () => {
    fc.assert(
      fc.property(
        anySource,
        fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
        fc.maxSafeNat(),
        fc.date({ noInvalidDate: true }),
        (source, value, epoch, committedAt) => {
          const state = { offset: Offset.sequence(value), epoch, committedAt };
          const { line, size } = encodeEntry(source, state);
          expect(size).toBe(Buffer.byteLength(line));
          expect(decodeLine(line, size)).toEqual({ source, line, size, state });
        },
      ),
      { numRuns: 300 },
    );
  });

  it.each<[string, string, bigint, number, string]>([
    ['small', 'a', 0n, 0, '2026-01-01T00:00:00.000Z'],
    ['large', 'x'.repeat(341), 2n ** 64n - 1n, Number.MAX_SAFE_INTEGER, '9999-12-31T23:59:59.999Z'],
    ['early', 'größe/🚚', 10n, 10, '0000-01-01T10:11:12.345Z'],
    ['of a leap day', 'orders 0', 98_765n, 7, '2024-02-29T19:49:58.999Z'],
    ['of the same day', 'orders 1', 98_765n, 12, '2024-02-29T20:00:00.001Z'],
  ])('is read without a JSON parser: %s', (_, source, value, epoch, time) => {
    const state = { offset: Offset.sequence(value), epoch, committedAt: new Date(time) };
    const { line, size } = encodeEntry(source, state);
    const parse = jest.spyOn(JSON, 'parse');
    try {
      expect(decodeLine(line, size)).toEqual({ source, line, size, state });
      // Half a pair of surrogates is what the short way cannot tell from a whole one.
      expect(parse).toHaveBeenCalledTimes(source.includes('🚚') ? 2 : 0);
    } finally {
      parse.mockRestore();
    }
  });

  it('is taken as it is written or not at all, whichever character is another', () => {
    const plain = { offset: Offset.sequence(10n), epoch: 10, committedAt: written };
    const others = [
      '',
      '0',
      '7',
      '9',
      'a',
      'Z',
      '"',
      '\\',
      ' ',
      '\n',
      '.',
      ',',
      ':',
      'é',
      '\u0007',
      '\ud800',
    ];
    let taken = 0;
    for (const state of [plain, { epoch: 7 }]) {
      const { line } = encodeEntry('ab', state);
      const text = line.slice('{"check":"01234567",'.length);
      for (let at = 0; at <= text.length; at++) {
        for (const other of others) {
          for (const after of [at, at + 1]) {
            const changed = checkedLine(text.slice(0, at) + other + text.slice(after));
            try {
              const read = decodeLine(changed, Buffer.byteLength(changed));
              expect(encodeEntry(read.source, read.state).line).toBe(changed);
              taken++;
            } catch (error) {
              if (!(error instanceof FormatError)) throw error;
            }
          }
        }
      }
    }
    // Other digits and other letters of the name.
    expect(taken).toBeGreaterThan(50);
  });
});
