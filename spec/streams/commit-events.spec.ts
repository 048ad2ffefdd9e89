import { Readable, type Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { CommitStrategy } from '../../lib/commit-strategy.js';
import { Offset } from '../../lib/offset.js';
import { ackDeliveries } from '../../lib/streams/ack-deliveries.js';
import { commitOffsets, type OffsetWritable } from '../../lib/streams/commit-offsets.js';
import type { OffsetStreamOptions } from '../../lib/streams/stream-options.js';
import { transactionalSink } from '../../lib/streams/transactional-sink.js';
import { withAcks } from '../../lib/streams/with-acks.js';
import { withOffsets } from '../../lib/streams/with-offsets.js';
import { OffsetTracker } from '../../lib/tracker/offset-tracker.js';
import { Outputs } from '../support/sink-helpers.js';
import { Databases } from '../support/sqlite.js';
import { closed, settle } from '../support/stream-helpers.js';
import { ScriptedStore } from '../support/stream-store.js';

const letters = (text: string): string[] => text.split('');

describe("'commit' events", () => {
  it("are of this stream's sources alone, in order, each with its source and offset", async () => {
    const store = new ScriptedStore();
    const tracker = new OffsetTracker(store);
    const seen: string[] = [];
    const other: string[] = [];
    const first = commitOffsets<string>(tracker, { source: (letter) => letter });
    const second = commitOffsets<string>(tracker, 'other');
    first.on('commit', ({ source, offset }) => seen.push(`${source} ${Offset.format(offset)}`));
    second.on('commit', ({ source, offset }) => other.push(`${source} ${Offset.format(offset)}`));
    await Promise.all([
      pipeline(Readable.from(letters('abba')), first),
      pipeline(Readable.from(letters('xyz')), second),
    ]);
    expect(seen).toEqual(['a seq:0', 'b seq:0', 'b seq:1', 'a seq:1']);
    expect(other).toEqual(['other seq:0', 'other seq:1', 'other seq:2']);
  });

  it('come for commits that the caller asked for', async () => {
    const tracker = new OffsetTracker(new ScriptedStore(), { strategy: CommitStrategy.manual });
    const stream = commitOffsets<string>(tracker, 'a');
    const seen: unknown[] = [];
    stream.on('commit', (commit) => seen.push(commit));
    stream.write('x');
    await settle();
    await tracker.commit('a');
    expect(seen).toEqual([{ source: 'a', offset: Offset.sequence(0) }]);
    stream.destroy();
  });

  it('come before the close of a stream that was destroyed', async () => {
    const tracker = new OffsetTracker(new ScriptedStore(), { strategy: CommitStrategy.interval(60_000) });
    const stream = commitOffsets<string>(tracker, 'a');
    const log: string[] = [];
    stream.on('commit', () => log.push('commit')).on('close', () => log.push('close'));
    stream.write('x');
    await settle();
    stream.destroy();
    await closed(stream);
    expect(log).toEqual(['commit', 'close']);
  });
});

/** Takes the days of a source, and commits each by itself. */
interface Form {
  /** The stream that tells of commits. */
  readonly stream: Pick<OffsetWritable, 'on'>;
  /** All of the form, for the end of a pipeline. */
  readonly stages: readonly Writable[];
}

const byDay: OffsetStreamOptions<number> = { source: 'a', offsetOf: (day) => new Date(day) };

describe.each<[string, (tracker: OffsetTracker) => Form]>([
  [
    'withOffsets',
    (tracker) => {
      const stream = withOffsets(tracker, byDay);
      return { stream, stages: [stream.resume()] };
    },
  ],
  [
    'commitOffsets',
    (tracker) => {
      const stream = commitOffsets(tracker, byDay);
      return { stream, stages: [stream] };
    },
  ],
  [
    'withAcks',
    (tracker) => {
      const stream = withAcks(tracker, byDay);
      return { stream, stages: [stream, ackDeliveries()] };
    },
  ],
  [
    'transactionalSink',
    () => {
      const stream = transactionalSink(new Outputs(databases).store, {
        ...byDay,
        batchSize: 1,
        write: () => undefined,
      });
      return { stream, stages: [stream] };
    },
  ],
])("a listener of %s's 'commit' events", (_name, make) => {
  it('may change the offset that it is given', async () => {
    const { stream, stages } = make(new OffsetTracker(new ScriptedStore()));
    const days: number[] = [];
    stream.on('commit', ({ offset }) => {
      const { value } = offset as { value: Date };
      days.push(value.getTime());
      value.setTime(9_000);
    });
    await pipeline([Readable.from([1, 2, 3]), ...stages]);
    expect(days).toEqual([1, 2, 3]);
  });

  it('that throws fails for itself, and not the stream', async () => {
    const { stream, stages } = make(new OffsetTracker(new ScriptedStore()));
    const boom = new Error('boom');
    const later: Array<() => void> = [];
    jest.spyOn(globalThis, 'queueMicrotask').mockImplementation((callback) => later.push(callback));
    stream.on('commit', () => {
      throw boom;
    });
    await pipeline([Readable.from([1, 2, 3]), ...stages]);
    expect(later).toHaveLength(3);
    for (const callback of later) expect(callback).toThrow(boom);
  });
});

let databases: Databases;
beforeEach(() => {
  databases = new Databases();
});
afterEach(() => {
  jest.restoreAllMocks();
  databases.destroy();
});
