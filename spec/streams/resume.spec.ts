import { Readable, Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { describe, expect, it } from '@jest/globals';
import { CommitStrategy } from '../../lib/commit-strategy.js';
import { InvalidOffsetError, SourceNotFoundError } from '../../lib/errors.js';
import { Offset, type OffsetInput } from '../../lib/offset.js';
import type { OffsetResetPolicy } from '../../lib/reset-policy.js';
import { commitOffsets } from '../../lib/streams/commit-offsets.js';
import type { OffsetStreamOptions } from '../../lib/streams/stream-options.js';
import { withOffsets } from '../../lib/streams/with-offsets.js';
import { OffsetTracker } from '../../lib/tracker/offset-tracker.js';
import { closed, failure } from '../support/stream-helpers.js';
import { ScriptedStore } from '../support/stream-store.js';

const letters = (text: string): string[] => text.split('');

/** Runs the items through withOffsets; gives those that came out. */
async function passed<T>(
  store: ScriptedStore,
  items: Iterable<T>,
  options: string | OffsetStreamOptions<T>,
  resetPolicy?: OffsetResetPolicy,
): Promise<T[]> {
  const tracker = new OffsetTracker(store, { strategy: CommitStrategy.periodic(3), resetPolicy });
  const out: T[] = [];
  await pipeline(
    Readable.from(items),
    withOffsets<T>(tracker, options),
    new Writable({
      objectMode: true,
      write(item: T, _encoding, callback) {
        out.push(item);
        callback();
      },
    }),
  );
  return out;
}

async function storing(offset: OffsetInput | undefined): Promise<ScriptedStore> {
  const store = new ScriptedStore();
  if (offset !== undefined) await store.reset('a', offset);
  return store;
}

describe('counting', () => {
  it('makes the k-th item sequence k, zero-based', async () => {
    const store = new ScriptedStore();
    const tracker = new OffsetTracker(store);
    await pipeline(Readable.from(letters('abc')), commitOffsets(tracker, 'a'));
    expect(store.log).toEqual(['a seq:0', 'a seq:1', 'a seq:2']);
  });

  it('goes on after the committed offset', async () => {
    const store = await storing(41);
    expect(await passed(store, letters('abc'), 'a')).toEqual(letters('abc'));
    expect(await store.at('a')).toBe('seq:44');
  });

  it.each([
    ['earliest', Offset.earliest],
    ['latest', Offset.latest],
  ])('begins at 0 where %s is committed', async (_name, offset) => {
    const store = await storing(offset);
    await passed(store, letters('abc'), 'a');
    expect(await store.at('a')).toBe('seq:2');
  });

  it.each(['earliest', 'latest'] as const)('begins at 0 under the reset policy %s', async (policy) => {
    const store = new ScriptedStore();
    await passed(store, letters('abc'), 'a', policy);
    expect(await store.at('a')).toBe('seq:2');
  });

  it('counts each source for itself', async () => {
    const store = new ScriptedStore();
    await store.commit('b', Offset.sequence(9));
    await passed(store, letters('abbcab'), { source: (letter) => letter });
    expect(await store.getAll()).toEqual(
      new Map([
        ['a', Offset.sequence(1)],
        ['b', Offset.sequence(12)],
        ['c', Offset.sequence(0)],
      ]),
    );
  });

  it.each([new Date(0), 'line-5'])('refuses to go on after %p, which is no sequence', async (offset) => {
    const store = await storing(offset);
    const error = await failure(passed(store, letters('a'), 'a'));
    expect(error).toBeInstanceOf(InvalidOffsetError);
    expect(error).toMatchObject({ code: 'OFFSET_INVALID', source: 'a' });
    expect((error as Error).message).toContain(Offset.format(Offset.from(offset)));
    expect((error as Error).message).toContain('offsetOf');
    expect(store.log).toEqual([]);
  });

  it('ends with an error at the last sequence there is, and keeps what came before', async () => {
    const store = await storing(2n ** 64n - 3n);
    const error = await failure(passed(store, letters('abc'), 'a'));
    expect(error).toBeInstanceOf(InvalidOffsetError);
    expect((error as Error).message).toMatch(/item 2 of source "a".*18446744073709551616/);
    expect(await store.at('a')).toBe(`seq:${2n ** 64n - 1n}`);
  });

  it('is what a stream without offsetOf needs the store for; one with it asks nothing', async () => {
    const store = new ScriptedStore();
    let reads = 0;
    store.beforeRead = () => reads++;
    await passed(store, letters('abc'), 'a');
    expect(reads).toBeGreaterThan(0);
  });
});

describe("resume: 'skip'", () => {
  const byId = { source: 'a', offsetOf: (id: number) => id, resume: 'skip' } as const;
  const at = (n: number): Date => new Date(Date.UTC(2026, 0, n));

  it('drops counted items up to the committed one, counting from 0', async () => {
    const store = await storing(2);
    expect(await passed(store, letters('abcdef'), { source: 'a', resume: 'skip' })).toEqual(letters('def'));
    expect(await store.at('a')).toBe('seq:5');
  });

  it('drops counted items of each source for itself', async () => {
    const store = await storing(1);
    const out = await passed(store, letters('ababab'), { source: (letter) => letter, resume: 'skip' });
    expect(out).toEqual(letters('bbab'));
  });

  it('drops sequences up to the committed one, gaps and disorder before it included', async () => {
    const store = await storing(20);
    expect(await passed(store, [10, 5, 20, 15, 30, 12, 40], byId)).toEqual([30, 40]);
    expect(await store.at('a')).toBe('seq:40');
  });

  it('drops sequences up to a committed one that does not come up', async () => {
    const store = await storing(25);
    expect(await passed(store, [10, 20, 30], byId)).toEqual([30]);
  });

  it('drops everything, and changes nothing, where all is done', async () => {
    const store = await storing(25);
    expect(await passed(store, [10, 20], byId)).toEqual([]);
    expect(store.asked).toBe(0);
  });

  it('drops timestamps up to the committed one', async () => {
    const store = await storing(at(2));
    const out = await passed(store, [1, 2, 3, 4], { source: 'a', offsetOf: at, resume: 'skip' });
    expect(out).toEqual([3, 4]);
    expect(await store.at('a')).toBe('ts:2026-01-04T00:00:00.000Z');
  });

  it('drops custom offsets up to and including the committed one', async () => {
    const store = await storing('c');
    const options = { source: 'a', offsetOf: (letter: string) => letter, resume: 'skip' } as const;
    expect(await passed(store, letters('zxcab'), options)).toEqual(letters('ab'));
    expect(await store.at('a')).toBe('custom:b');
  });

  it('is an error at the end where the committed custom offset did not come up', async () => {
    const store = await storing('c');
    const options = { source: 'a', offsetOf: (letter: string) => letter, resume: 'skip' } as const;
    const error = await failure(passed(store, letters('zxab'), options));
    expect(error).toBeInstanceOf(InvalidOffsetError);
    expect(error).toMatchObject({ code: 'OFFSET_INVALID', source: 'a' });
    expect((error as Error).message).toMatch(/"custom:c".*all its 4 items/);
    expect(await store.at('a')).toBe('custom:c');
  });

  it('commits the other sources of a stream that ends so', async () => {
    const store = await storing('c');
    const error = await failure(
      passed(store, ['a1', 'b1', 'a2', 'b2'], {
        source: (item) => item.charAt(0),
        offsetOf: (item) => item,
        resume: 'skip',
      }),
    );
    expect(error).toMatchObject({ source: 'a' });
    expect(await store.at('b')).toBe('custom:b2');
  });

  it.each([
    ['sequence', 'timestamp', 5, new Date(0)],
    ['custom', 'sequence', 'c', 5],
    ['timestamp', 'custom', new Date(0), 'c'],
  ])('refuses a %s committed where the items have a %s', async (_a, _b, committed, given) => {
    const store = await storing(committed);
    const error = await failure(passed(store, [1], { source: 'a', offsetOf: () => given, resume: 'skip' }));
    expect(error).toBeInstanceOf(InvalidOffsetError);
    expect((error as Error).message).toContain(Offset.format(Offset.from(committed)));
    expect((error as Error).message).toContain('item 0');
    expect(store.log).toEqual([]);
  });

  it.each([
    ['earliest', Offset.earliest],
    ['latest', Offset.latest],
  ])('drops nothing where %s is committed', async (_name, offset) => {
    const store = await storing(offset);
    expect(await passed(store, [1, 2], byId)).toEqual([1, 2]);
  });

  it.each(['earliest', 'latest'] as const)('drops nothing under the reset policy %s', async (policy) => {
    expect(await passed(new ScriptedStore(), [1, 2], byId, policy)).toEqual([1, 2]);
  });
});

describe("the reset policy 'none'", () => {
  it.each([
    ['to count', { source: 'a' }],
    ['to skip', { source: 'a', offsetOf: () => 0, resume: 'skip' as const }],
  ])('destroys a stream that needs a position %s and finds none', async (_name, options) => {
    const store = new ScriptedStore();
    const error = await failure(passed(store, [1], options, 'none'));
    expect(error).toBeInstanceOf(SourceNotFoundError);
    expect(error).toMatchObject({ source: 'a' });
    expect(store.asked).toBe(0);
  });

  it('lets it go on where one is stored', async () => {
    const store = await storing(0);
    await passed(store, [1], 'a', 'none');
    expect(await store.at('a')).toBe('seq:1');
  });
});

it.each(['continue', 'skip'] as const)(
  "with resume: '%s' restarts repeat nothing that was committed, and skip nothing",
  async (resume) => {
    const store = new ScriptedStore();
    const items = Array.from({ length: 40 }, (_, id) => id);
    const passes: number[] = [];
    for (let ended = false, runs = 0; !ended; runs++) {
      expect(runs).toBeLessThan(items.length);
      const tracker = new OffsetTracker(store, { strategy: CommitStrategy.periodic(4) });
      const start = await tracker.getOffset('a');
      const next = start.kind === 'sequence' ? Number(start.value) + 1 : 0;
      const stream = withOffsets<number>(tracker, { source: 'a', resume });
      const passed: number[] = [];
      stream.on('data', (id) => passed.push(id));
      ended = await pipeline(
        Readable.from(resume === 'skip' ? items : items.slice(next)),
        async function* (rest: AsyncIterable<number>) {
          for await (const id of rest) {
            if (id === next + 7) throw new Error('crash');
            yield id;
          }
        },
        stream,
      ).then(
        () => true,
        () => false,
      );
      await closed(stream);
      expect(passed[0] ?? next).toBe(next);
      passes.push(...passed);
    }
    expect(passes).toEqual(items);
    expect(await store.at('a')).toBe('seq:39');
  },
);
