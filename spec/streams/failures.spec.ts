import { Readable, Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { describe, expect, it } from '@jest/globals';
import { CommitStrategy } from '../../lib/commit-strategy.js';
import { FencedError, InvalidOffsetError, OffsetIoError } from '../../lib/errors.js';
import { Offset, type OffsetInput } from '../../lib/offset.js';
import { commitOffsets } from '../../lib/streams/commit-offsets.js';
import type { OffsetStreamOptions } from '../../lib/streams/stream-options.js';
import { withOffsets } from '../../lib/streams/with-offsets.js';
import { OffsetTracker } from '../../lib/tracker/offset-tracker.js';
import { closed, failure, settle } from '../support/stream-helpers.js';
import { ScriptedStore } from '../support/stream-store.js';

type Options = OffsetStreamOptions<number>;

/** Both forms, as the last stages of a pipeline. */
const FORMS = [
  [
    'withOffsets',
    (items: Iterable<number>, tracker: OffsetTracker, options: string | Options) =>
      pipeline(
        Readable.from(items),
        withOffsets<number>(tracker, options),
        new Writable({ objectMode: true, write: (_item, _encoding, callback) => callback() }),
      ),
  ],
  [
    'commitOffsets',
    (items: Iterable<number>, tracker: OffsetTracker, options: string | Options) =>
      pipeline(Readable.from(items), commitOffsets<number>(tracker, options)),
  ],
] as const;

const ids = (from: number, to: number): number[] => Array.from({ length: to - from + 1 }, (_, n) => from + n);
const byId: Options = { source: 'a', offsetOf: (id) => id };

describe.each(FORMS)('%s', (_name, run) => {
  describe('when a commit fails', () => {
    it.each([
      ['auto', CommitStrategy.auto],
      ['periodic(2)', CommitStrategy.periodic(2)],
      ['eager', CommitStrategy.eager],
    ])(
      'under %s is destroyed with its error, and a restart repeats only what is not committed',
      async (_s, strategy) => {
        const store = new ScriptedStore();
        const full = new Error('disk full');
        store.beforeCommit = async (_source, offset) => {
          await settle();
          if ((offset as { value: bigint }).value >= 5n) throw full;
        };
        const error = await failure(run(ids(0, 50), new OffsetTracker(store, { strategy }), byId));
        expect(error).toBeInstanceOf(OffsetIoError);
        expect(error).toMatchObject({ source: 'a', cause: full });
        await settle();
        const committed = await store.get('a');
        store.beforeCommit = undefined;
        const start = committed?.kind === 'sequence' ? Number(committed.value) + 1 : 0;
        expect(start).toBeLessThanOrEqual(5);
        await run(ids(start, 50), new OffsetTracker(store, { strategy }), byId);
        expect(await store.at('a')).toBe('seq:50');
      },
    );

    it.each([
      ['periodic(1000)', CommitStrategy.periodic(1000)],
      ['interval', CommitStrategy.interval(60_000)],
    ])('under %s at a clean end does not end clean', async (_s, strategy) => {
      const store = new ScriptedStore();
      const full = new Error('disk full');
      store.beforeCommit = () => Promise.reject(full);
      const error = await failure(run(ids(0, 9), new OffsetTracker(store, { strategy }), byId));
      expect(error).toMatchObject({ code: 'OFFSET_IO', source: 'a', cause: full });
    });

    it('at a clean end for several sources tells each', async () => {
      const store = new ScriptedStore();
      store.beforeCommit = (source) => {
        if (source !== 'source 1') throw new Error(`no ${source}`);
      };
      const tracker = new OffsetTracker(store, { strategy: CommitStrategy.periodic(1000) });
      const error = await failure(run(ids(0, 2), tracker, { source: (id) => `source ${id}` }));
      expect(error).toBeInstanceOf(AggregateError);
      expect((error as AggregateError).errors).toEqual([
        expect.objectContaining({ code: 'OFFSET_IO', source: 'source 0' }),
        expect.objectContaining({ code: 'OFFSET_IO', source: 'source 2' }),
      ]);
      expect((error as Error).message).toMatch(/no source 0.*no source 2/);
      expect(await store.at('source 1')).toBe('seq:0');
    });

    it('commits at the end what one failed commit left, and the error is still told', async () => {
      const store = new ScriptedStore();
      let failures = 1;
      store.beforeCommit = () => {
        if (failures-- > 0) throw new Error('once');
      };
      const tracker = new OffsetTracker(store, { strategy: CommitStrategy.periodic(5) });
      const error = await failure(run(ids(0, 9), tracker, byId));
      expect(error).toMatchObject({ code: 'OFFSET_IO' });
      await settle();
      expect(await store.at('a')).toBe('seq:4');
    });
  });

  it('is destroyed with FencedError once the source was reset by another, whose offset stands', async () => {
    const store = new ScriptedStore();
    const tracker = new OffsetTracker(store);
    const error = await failure(
      run(
        (function* () {
          yield* ids(0, 30);
          void store.reset('a', Offset.sequence(3));
          yield* ids(31, 80);
        })(),
        tracker,
        byId,
      ),
    );
    expect(error).toBeInstanceOf(FencedError);
    await settle();
    expect(await store.at('a')).toBe('seq:3');
  });

  it('is destroyed with OFFSET_BEHIND for an item out of order, after what came before was committed', async () => {
    const store = new ScriptedStore();
    const tracker = new OffsetTracker(store, { strategy: CommitStrategy.periodic(1000) });
    const error = await failure(run([5, 6, 4, 7], tracker, byId));
    expect(error).toBeInstanceOf(InvalidOffsetError);
    expect(error).toMatchObject({ code: 'OFFSET_BEHIND', source: 'a' });
    await settle();
    expect(await store.at('a')).toBe('seq:6');
  });

  it('takes items in any order where the tracker is not monotonic', async () => {
    const store = new ScriptedStore();
    await run([5, 6, 4], new OffsetTracker(store, { monotonic: false }), byId);
    expect(await store.at('a')).toBe('seq:4');
  });

  describe('is destroyed with InvalidOffsetError that names the item, after what came before was committed, when', () => {
    const cause = new Error('no such field');
    const third =
      <R>(bad: () => R, good: (id: number) => R) =>
      (id: number): R =>
        id === 2 ? bad() : good(id);
    const thrown = (): never => {
      throw cause;
    };
    const badOffset = (bad: () => unknown): Options => ({
      source: 'a',
      offsetOf: third(bad, (id) => id) as (id: number) => OffsetInput,
    });
    const badSource = (bad: () => unknown): Options => ({
      source: third(bad, () => 'a') as (id: number) => string,
    });
    const badMetadata = (bad: () => unknown): Options => ({
      ...byId,
      metadataOf: third(bad, () => ({ ok: true })) as Options['metadataOf'],
    });

    it.each<[string, Options, RegExp]>([
      ['offsetOf throws', badOffset(thrown), /offset of item 2 of source "a".*no such field/],
      ['offsetOf gives undefined', badOffset(() => undefined), /item 2 .*got undefined/],
      ['offsetOf gives null', badOffset(() => null), /item 2 .*got null/],
      ['offsetOf gives NaN', badOffset(() => NaN), /item 2 .*got NaN/],
      ['offsetOf gives -1', badOffset(() => -1), /item 2 .*got -1/],
      ['offsetOf gives 2^53', badOffset(() => 2 ** 53), /item 2 .*safe integer/],
      ['offsetOf gives 2^64', badOffset(() => 2n ** 64n), /item 2 .*18446744073709551616/],
      ['offsetOf gives an invalid Date', badOffset(() => new Date(NaN)), /item 2 .*invalid Date/],
      ['offsetOf gives some object', badOffset(() => ({ id: 1 })), /item 2 .*an object/],
      ['offsetOf gives latest', badOffset(() => Offset.latest), /item 2 .*got latest/],
      ['offsetOf gives earliest', badOffset(() => Offset.earliest), /item 2 .*got earliest/],
      ['offsetOf is async', badOffset(async () => 3), /item 2 .*`offsetOf`.*must not be an async function/],
      ['offsetOf is async and rejects', badOffset(async () => thrown()), /must not be an async function/],
      ['source throws', badSource(thrown), /source of item 2 .*no such field/],
      ['source gives undefined', badSource(() => undefined), /item 2 .*got undefined/],
      ['source gives a number', badSource(() => 5), /item 2 .*got 5/],
      ['source gives an empty name', badSource(() => ''), /item 2 .*got "" \(string\)/],
      ['source is async', badSource(async () => 'a'), /item 2 .*`source`.*must not be an async function/],
      ['source is async and rejects', badSource(async () => thrown()), /must not be an async function/],
      ['metadataOf throws', badMetadata(thrown), /metadata of item 2 of source "a".*no such field/],
      ['metadataOf gives null', badMetadata(() => null), /metadata of item 2 .*got null/],
      ['metadataOf gives a string', badMetadata(() => 'x'), /metadata of item 2 .*plain object/],
      ['metadataOf gives a function in it', badMetadata(() => ({ f: thrown })), /item 2 .*metadata\.f/],
      ['metadataOf is async', badMetadata(async () => ({})), /item 2 .*`metadataOf`.*must not be an async/],
      ['metadataOf is async and rejects', badMetadata(async () => thrown()), /must not be an async function/],
    ])('%s', async (_case, options, message) => {
      const store = new ScriptedStore();
      const tracker = new OffsetTracker(store, { strategy: CommitStrategy.periodic(1000) });
      const error = await failure(run(ids(0, 4), tracker, options));
      expect(error).toBeInstanceOf(InvalidOffsetError);
      expect(error).toMatchObject({ code: 'OFFSET_INVALID', cause: expect.any(Error) });
      expect((error as Error).message).toMatch(message);
      if (message.source.includes('no such field')) expect((error as Error).cause).toBe(cause);
      // A rejection that nobody handles is told in a later turn, and fails the test.
      await settle();
      expect(await store.at('a')).toBe('seq:1');
    });

    it('a Date of another realm is taken', async () => {
      const store = new ScriptedStore();
      await run([1], new OffsetTracker(store), { source: 'a', offsetOf: () => structuredClone(new Date(1)) });
      expect(await store.at('a')).toBe('ts:1970-01-01T00:00:00.001Z');
    });
  });

  it("tells a store's own OFFSET_INVALID as the store's, not as the item's", async () => {
    const store = new ScriptedStore();
    const refusal = new InvalidOffsetError('no custom offsets here', { source: 'a' });
    store.beforeCommit = () => Promise.reject(refusal);
    expect(await failure(run([1], new OffsetTracker(store), byId))).toBe(refusal);
  });

  it('keeps the metadata of the last item', async () => {
    const store = new ScriptedStore();
    const tracker = new OffsetTracker(store, { strategy: CommitStrategy.periodic(1000) });
    await run([1, 2], tracker, { ...byId, metadataOf: (id) => ({ id }) });
    expect((await store.inspect('a'))?.metadata).toEqual({ id: 2 });
  });

  it("gives offsetOf the item's place in the stream, whatever its source", async () => {
    const store = new ScriptedStore();
    const seen: number[] = [];
    await run([7, 8, 9], new OffsetTracker(store), {
      source: (id) => `source ${id % 2}`,
      offsetOf: (id, index) => {
        seen.push(index);
        return id;
      },
    });
    expect(seen).toEqual([0, 1, 2]);
  });
});

describe.each([
  ['withOffsets', withOffsets],
  ['commitOffsets', commitOffsets],
] as ReadonlyArray<[string, (tracker: OffsetTracker, options: string | Options) => Writable]>)(
  '%s refuses at the call',
  (_name, make) => {
    const tracker = new OffsetTracker(new ScriptedStore());

    it.each<[string, unknown, unknown, string]>([
      ['no tracker', {}, 'a', '`tracker` to be an OffsetTracker, got an object'],
      ['an undefined tracker', undefined, 'a', '`tracker`'],
      ['no source', tracker, undefined, 'a source name or options with `source`, got undefined'],
      ['null', tracker, null, 'a source name or options with `source`, got null'],
      ['a number for the source', tracker, 5, 'a source name or options with `source`, got 5'],
      ['options without source', tracker, {}, 'source name'],
      ['offsetOf', tracker, { source: 'a', offsetOf: 'id' }, '`offsetOf` to be a function'],
      ['metadataOf', tracker, { source: 'a', metadataOf: {} }, '`metadataOf` to be a function'],
      ['resume', tracker, { source: 'a', resume: 'restart' }, "`resume` to be 'continue' or 'skip'"],
      ['signal', tracker, { source: 'a', signal: 'stop' }, '`signal` to be an AbortSignal'],
      ['drainTimeoutMs', tracker, { source: 'a', drainTimeoutMs: '5' }, '`drainTimeoutMs`'],
      ['highWaterMark', tracker, { source: 'a', highWaterMark: '5' }, '`highWaterMark`'],
    ])('%s of the wrong type', (_case, given, options, message) => {
      const call = (): unknown => make(given as OffsetTracker, options as Options);
      expect(call).toThrow(TypeError);
      expect(call).toThrow(message);
    });

    it.each<[string, unknown]>([
      ['an empty source', ''],
      ['an empty source in options', { source: '' }],
      ['a source with U+0000', 'a\0'],
      ['drainTimeoutMs 0', { source: 'a', drainTimeoutMs: 0 }],
      ['drainTimeoutMs 2^31', { source: 'a', drainTimeoutMs: 2 ** 31 }],
      ['highWaterMark -1', { source: 'a', highWaterMark: -1 }],
    ])('%s', (_case, options) => {
      expect(() => make(tracker, options as Options)).toThrow(RangeError);
    });
  },
);

it('goes on under the same tracker after a failure whose last commit landed', async () => {
  const store = new ScriptedStore();
  const tracker = new OffsetTracker(store, { strategy: CommitStrategy.periodic(1000) });
  const stream = commitOffsets<number>(tracker, byId);
  const broken = Readable.from(
    (function* () {
      yield* ids(0, 4);
      throw new Error('boom');
    })(),
  );
  await failure(pipeline(broken, stream));
  await closed(stream);
  const start = (await tracker.getOffset('a')) as { value: bigint };
  await pipeline(Readable.from(ids(Number(start.value) + 1, 9)), commitOffsets(tracker, byId));
  expect(await store.at('a')).toBe('seq:9');
});
