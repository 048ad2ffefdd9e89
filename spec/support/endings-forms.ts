import { addAbortSignal, type Readable, Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { commitOffsets } from '../../lib/streams/commit-offsets.js';
import { ackDeliveries } from '../../lib/streams/ack-deliveries.js';
import type { Delivery } from '../../lib/streams/delivery.js';
import { type AckOptions, withAcks } from '../../lib/streams/with-acks.js';
import { iterateWithOffsets } from '../../lib/streams/iterate.js';
import type { OffsetStreamOptions } from '../../lib/streams/stream-options.js';
import { withOffsets } from '../../lib/streams/with-offsets.js';
import type { OffsetTracker } from '../../lib/tracker/offset-tracker.js';
import { CLOSE_MS, DRAIN_MS, type Item, LAST_ITEM, type Plan, SOURCE } from './endings-world.js';
import { closed } from './stream-helpers.js';

/** What a form processes, and how it is made to end. */
export interface FormRun {
  readonly tracker: OffsetTracker;
  /** Gives items, and is closed when the run ends. */
  readonly source: Readable;
  /** How the loop over the items is left; absent where it is not. */
  readonly leaving: Plan['leaves'];
  /** The signal given as an option, and the one given to `pipeline()`. */
  readonly option: AbortController;
  readonly ofPipeline: AbortController;
  readonly drainTimeoutMs: number;
  readonly closeTimeoutMs: number;
  /** Set by the form: destroys it. */
  destroy: (error?: Error) => unknown;
  /** The work for an item, which takes its time, or some times that. */
  work(item: Item, times?: number): Promise<void>;
  sinkError(item: Item): Error | undefined;
  /** Whether a loop is left at this item. */
  leaves(item: Item): boolean;
  /** What is done before a tracker is closed. */
  beforeClose(): Promise<void>;
}

/** A way of processing the items of a run. */
export interface Form {
  readonly name: string;
  /** How many items at most are done and not recorded yet, when nothing more is recorded. */
  readonly inHand: number;
  /** It begins with the next item once the last is recorded: so what the strategy allows includes the one in hand. */
  readonly oneByOne?: true;
  /** How many items are worked on at once. */
  readonly concurrency: number;
  /** How long its end may take: the limit of its last commits. */
  readonly abruptEndMs: number;
  /**
   * It asks its source for the next item once the last is recorded. What the source has to say it hears after that,
   * where the strategy waits for the store as long as the store is given.
   */
  readonly pulls?: true;
  /** Its end is that of the tracker, which it closes. */
  readonly closesTracker?: true;
  /** What can be done to it, beside what can to every form. */
  readonly can: ReadonlySet<Capability>;
  /** What a caller sees of it where that is not the error that ended it. */
  readonly sees?: Partial<Record<'abort' | 'destroy()', unknown>>;
  /** Ends as the caller sees it, when all of the form has ended. */
  readonly run: (run: FormRun) => Promise<void>;
}

/** What exists for some forms only. */
type Capability = 'sink' | 'break' | 'take' | 'pipeline';

/**
 * What the streams of a run buffer, on each side. An async generator before such a stream is asked for the next item
 * once there is room for it: so the one that is being recorded, those that wait and the one in work are no more.
 */
const BUFFER = 4;
/** How many deliveries may be in flight, and how many are worked on at once. */
const IN_FLIGHT = 8;
const WORKERS = 4;

export function optionsOf(run: FormRun): OffsetStreamOptions<Item> {
  return {
    source: SOURCE,
    offsetOf: (item) => item.offset,
    signal: run.option.signal,
    drainTimeoutMs: run.drainTimeoutMs,
    highWaterMark: BUFFER,
  };
}

export function sourceOf(run: FormRun): Readable {
  return run.leaving === 'take-source' ? run.source.take(LAST_ITEM) : run.source;
}

/** The stage that does the work, one item after the other. */
export async function* worked(run: FormRun, items: AsyncIterable<Item>): AsyncGenerator<Item> {
  for await (const item of items) {
    await run.work(item);
    yield item;
  }
}

export function sink(run: FormRun): Writable {
  return new Writable({
    objectMode: true,
    highWaterMark: BUFFER,
    write: (item: Item, _encoding, callback) => callback(run.sinkError(item)),
  });
}

/** The outcome of the flow, once the streams are closed too. */
export async function whole(flow: Promise<void>, ...streams: Array<Readable | Writable>): Promise<void> {
  try {
    await flow;
  } finally {
    await Promise.all(streams.map(closed));
  }
}

/** Reads the end of a flow by a loop that leaves it, or by take(). */
async function leave(run: FormRun, stream: Readable, flow: Promise<void>): Promise<void> {
  flow.catch(() => undefined);
  if (run.leaving === 'take') {
    await stream.take(LAST_ITEM).toArray();
  } else {
    for await (const item of stream as AsyncIterable<Item>) if (run.leaves(item)) break;
  }
  await closed(stream);
  await flow.catch(() => undefined);
}

function ackOptionsOf(run: FormRun): AckOptions<Item> {
  return { ...optionsOf(run), maxInFlight: IN_FLIGHT };
}

/** The deliveries of a run as the last stage of a pipeline, or in a loop that leaves them. */
async function withDeliveries(
  run: FormRun,
  work: (deliveries: AsyncIterable<Delivery<Item>>) => Promise<void>,
): Promise<void> {
  const stream = withAcks(run.tracker, ackOptionsOf(run));
  run.destroy = (error) => stream.destroy(error);
  const { leaving } = run;
  if (leaving === 'break' || leaving === 'take') {
    const flow = pipeline(sourceOf(run), stream).catch(() => undefined);
    try {
      await work(leaving === 'take' ? stream.take(LAST_ITEM) : stream);
    } finally {
      await closed(stream);
      await flow;
    }
    return;
  }
  await whole(pipeline(sourceOf(run), stream, work, { signal: run.ofPipeline.signal }), stream);
  await stream.settled();
}

const PREMATURE = { code: 'ERR_STREAM_PREMATURE_CLOSE' };

export const FORMS: readonly Form[] = [
  {
    name: 'withOffsets',
    inHand: BUFFER - 1,
    concurrency: 1,
    abruptEndMs: DRAIN_MS,
    can: new Set<Capability>(['sink', 'break', 'take', 'pipeline']),
    sees: { 'destroy()': PREMATURE },
    run: async (run) => {
      const stream = withOffsets(run.tracker, optionsOf(run));
      run.destroy = (error) => stream.destroy(error);
      const work = (items: AsyncIterable<Item>): AsyncIterable<Item> => worked(run, items);
      if (run.leaving === 'break' || run.leaving === 'take') {
        await leave(run, stream, pipeline(sourceOf(run), work, stream));
      } else {
        const { signal } = run.ofPipeline;
        await whole(pipeline(sourceOf(run), work, stream, sink(run), { signal }), stream);
      }
    },
  },
  {
    name: 'commitOffsets',
    inHand: BUFFER - 1,
    concurrency: 1,
    abruptEndMs: DRAIN_MS,
    can: new Set<Capability>(['pipeline']),
    sees: { 'destroy()': PREMATURE },
    run: async (run) => {
      const stream = commitOffsets(run.tracker, optionsOf(run));
      run.destroy = (error) => {
        stream.destroy(error);
        // Behind an async generator Node's pipeline() sees its last stage gone, where that has no error, only at the
        // next item: whoever destroys it so ends the source too.
        if (error === undefined) stream.once('close', () => run.source.destroy());
      };
      const work = (items: AsyncIterable<Item>): AsyncIterable<Item> => worked(run, items);
      await whole(pipeline(sourceOf(run), work, stream, { signal: run.ofPipeline.signal }), stream);
    },
  },
  {
    name: 'withAcks, one after the other',
    inHand: 1,
    oneByOne: true,
    concurrency: 1,
    abruptEndMs: DRAIN_MS,
    can: new Set<Capability>(['break', 'take', 'pipeline']),
    sees: { 'destroy()': PREMATURE },
    run: (run) =>
      withDeliveries(run, async (deliveries) => {
        for await (const delivery of deliveries) {
          await run.work(delivery.value);
          if (run.leaves(delivery.value)) break;
          await delivery.ack();
        }
      }),
  },
  {
    name: 'withAcks, side by side',
    inHand: IN_FLIGHT,
    concurrency: WORKERS,
    abruptEndMs: DRAIN_MS,
    can: new Set<Capability>(['break', 'take', 'pipeline']),
    sees: { 'destroy()': PREMATURE },
    run: (run) =>
      withDeliveries(run, async (deliveries) => {
        const working = new Set<Promise<void>>();
        for await (const delivery of deliveries) {
          if (run.leaves(delivery.value)) break;
          // The later one of two often ends first.
          const work = run
            .work(delivery.value, 1 + ((delivery.value.id * 7) % 4))
            .then(() => delivery.ack())
            .finally(() => working.delete(work));
          // It is told by the race or at the end, or else somebody failed before.
          work.catch(() => undefined);
          working.add(work);
          if (working.size === WORKERS) await Promise.race(working);
        }
        // Whoever leaves does not wait for the acks, which wait for the store.
        if (run.leaving !== 'break') await Promise.all(working);
      }),
  },
  {
    name: 'withAcks and ackDeliveries',
    inHand: BUFFER - 1,
    concurrency: 1,
    abruptEndMs: DRAIN_MS,
    can: new Set<Capability>(['pipeline']),
    sees: { 'destroy()': PREMATURE },
    run: async (run) => {
      const stream = withAcks(run.tracker, ackOptionsOf(run));
      run.destroy = (error) => stream.destroy(error);
      const work = async function* (
        deliveries: AsyncIterable<Delivery<Item>>,
      ): AsyncGenerator<Delivery<Item>> {
        for await (const delivery of deliveries) {
          await run.work(delivery.value);
          yield delivery;
        }
      };
      const last = ackDeliveries({ highWaterMark: BUFFER });
      const { signal } = run.ofPipeline;
      await whole(pipeline(sourceOf(run), stream, work, last, { signal }), stream, last);
    },
  },
  {
    name: 'iterateWithOffsets',
    inHand: 1,
    oneByOne: true,
    concurrency: 1,
    abruptEndMs: DRAIN_MS,
    pulls: true,
    can: new Set<Capability>(['break']),
    sees: { 'destroy()': undefined },
    run: async (run) => {
      const { highWaterMark: _, ...options } = optionsOf(run);
      const items = iterateWithOffsets(sourceOf(run) as AsyncIterable<Item>, run.tracker, options);
      // What is closest to it: to leave the loop from outside, or the source with an error.
      run.destroy = (error) => (error === undefined ? void items.return() : run.source.destroy(error));
      for await (const item of items) {
        await run.work(item);
        if (run.leaves(item)) break;
      }
    },
  },
  {
    name: 'a loop that awaits record()',
    inHand: 1,
    oneByOne: true,
    concurrency: 1,
    abruptEndMs: CLOSE_MS,
    closesTracker: true,
    pulls: true,
    can: new Set<Capability>(['break']),
    sees: { abort: { name: 'AbortError' }, 'destroy()': PREMATURE },
    run: async (run) => {
      const source = sourceOf(run);
      run.destroy = (error) => source.destroy(error);
      addAbortSignal(run.option.signal, source);
      try {
        for await (const item of source as AsyncIterable<Item>) {
          await run.work(item);
          if (run.leaves(item)) break;
          await run.tracker.record(SOURCE, item.offset);
        }
      } catch (error) {
        // It is this error that matters, even where the last commits fail too.
        await run.tracker.close({ timeoutMs: run.closeTimeoutMs }).catch(() => undefined);
        throw error;
      }
      await run.beforeClose();
      await run.tracker.close({ timeoutMs: run.closeTimeoutMs });
    },
  },
];
