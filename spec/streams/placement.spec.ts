import { setImmediate as turn } from 'node:timers/promises';
import { Readable, Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { describe, expect, it } from '@jest/globals';
import { CommitStrategy } from '../../lib/commit-strategy.js';
import { commitOffsets } from '../../lib/streams/commit-offsets.js';
import { withOffsets } from '../../lib/streams/with-offsets.js';
import { OffsetTracker } from '../../lib/tracker/offset-tracker.js';
import { closed, failure, settle, until } from '../support/stream-helpers.js';
import { gate, ScriptedStore } from '../support/stream-store.js';

const ids = (n: number): number[] => Array.from({ length: n }, (_, id) => id);

/** A sink that takes turns over each item, and fails in place of the n-th. */
function slowSink(done: number[], failsAt = Infinity): Writable {
  return new Writable({
    objectMode: true,
    write(id: number, _encoding, callback) {
      void turn().then(() => {
        if (id === failsAt) {
          callback(new Error('boom'));
        } else {
          done.push(id);
          callback();
        }
      });
    },
  });
}

describe('why it stands after the work', () => {
  it('before the work it commits items that are not done: a restart would skip them', async () => {
    const store = new ScriptedStore();
    const done: number[] = [];
    const stream = withOffsets<number>(new OffsetTracker(store), 'a');
    await failure(pipeline(Readable.from(ids(100)), stream, slowSink(done, 9)));
    await closed(stream);
    const committed = (await store.get('a')) as { value: bigint };
    expect(done).toHaveLength(9);
    expect(Number(committed.value) + 1).toBeGreaterThan(done.length);
  });

  it('after the work it commits only what is done', async () => {
    const store = new ScriptedStore();
    const done: number[] = [];
    const stream = commitOffsets<number>(new OffsetTracker(store), 'a');
    await failure(
      pipeline(
        Readable.from(ids(100)),
        async function* (items: AsyncIterable<number>) {
          for await (const id of items) {
            await turn();
            if (id === 9) throw new Error('boom');
            done.push(id);
            yield id;
          }
        },
        stream,
      ),
    );
    await closed(stream);
    expect(done).toHaveLength(9);
    const committed = (await store.get('a')) as { value: bigint };
    expect(Number(committed.value) + 1).toBeLessThanOrEqual(done.length);
  });

  it('before the work even a clean end commits before the last items are done', async () => {
    const store = new ScriptedStore();
    const done: number[] = [];
    const stream = withOffsets<number>(
      new OffsetTracker(store, { strategy: CommitStrategy.periodic(1000) }),
      'a',
    );
    let doneAtCommit = -1;
    stream.on('commit', () => (doneAtCommit = done.length));
    await pipeline(Readable.from(ids(10)), stream, slowSink(done));
    expect(await store.at('a')).toBe('seq:9');
    expect(doneAtCommit).toBeLessThan(10);
    expect(done).toHaveLength(10);
  });
});

describe('as the last stage', () => {
  it('withOffsets stalls once its buffers are full, for nobody reads it', async () => {
    const tracker = new OffsetTracker(new ScriptedStore());
    const stream = withOffsets<number>(tracker, 'a');
    Readable.from(ids(100)).pipe(stream);
    await until(() => stream.readableLength >= stream.readableHighWaterMark);
    await settle();
    const stalledAt = tracker.stats('a').recorded;
    expect(stalledAt).toBeLessThan(100);
    stream.resume();
    await closed(stream);
    expect(tracker.stats('a').recorded).toBe(100);
  });

  it('commitOffsets does not', async () => {
    const tracker = new OffsetTracker(new ScriptedStore());
    await pipeline(Readable.from(ids(100)), commitOffsets<number>(tracker, 'a'));
    expect(tracker.stats('a').recorded).toBe(100);
  });
});

describe('backpressure', () => {
  it.each(['auto', 'periodic'] as const)('a slow store under %s holds the stream', async (kind) => {
    const store = new ScriptedStore();
    const slow = gate();
    store.beforeCommit = () => slow.opened;
    const strategy = kind === 'auto' ? CommitStrategy.auto : CommitStrategy.periodic(3);
    const tracker = new OffsetTracker(store, { strategy });
    const stream = commitOffsets<number>(tracker, { source: 'a', highWaterMark: 4 });
    let pulled = 0;
    const done = pipeline(
      (function* () {
        for (; pulled < 100; pulled++) yield pulled;
      })(),
      stream,
    );
    await until(() => stream.writableNeedDrain);
    await settle();
    expect(tracker.stats('a').recorded).toBe(kind === 'auto' ? 1 : 3);
    expect(pulled).toBeLessThan(10);
    slow.open();
    await done;
    expect(await store.at('a')).toBe('seq:99');
  });

  it.each([
    ['eager', CommitStrategy.eager],
    ['interval', CommitStrategy.interval(60_000)],
  ])('a slow store under %s does not, but for the end', async (_name, strategy) => {
    const store = new ScriptedStore();
    const slow = gate();
    store.beforeCommit = () => slow.opened;
    const tracker = new OffsetTracker(store, { strategy });
    const stream = commitOffsets<number>(tracker, 'a');
    let finished = false;
    stream.on('finish', () => (finished = true));
    const done = pipeline(Readable.from(ids(1000)), stream);
    await until(() => tracker.stats('a').recorded === 1000);
    await settle();
    expect(finished).toBe(false);
    expect(await store.at('a')).toBeUndefined();
    slow.open();
    await done;
    expect(await store.at('a')).toBe('seq:999');
    // The first, and one for all that came meanwhile.
    expect(store.log.length).toBeLessThanOrEqual(2);
  });
});

it('under eager a commit in flight is followed by one for the newest offset', async () => {
  const store = new ScriptedStore();
  const slow = gate();
  store.beforeCommit = () => slow.opened;
  const tracker = new OffsetTracker(store, { strategy: CommitStrategy.eager });
  const done = pipeline(Readable.from(ids(10)), commitOffsets<number>(tracker, 'a'));
  await until(() => tracker.stats('a').recorded === 10);
  slow.open();
  await done;
  expect(store.log).toEqual(['a seq:0', 'a seq:9']);
});
