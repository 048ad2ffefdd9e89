import { pipeline } from 'node:stream/promises';
import {
  ackDeliveries,
  CommitStrategy,
  InMemoryOffsetStore,
  OffsetTracker,
  type TrackedDelivery,
  withAcks,
} from 'streamweave-offset';
import type { Bench, Point, Suite } from './harness/bench.js';
import { median, type Variant } from './harness/compare.js';
import { bareTransform, type Item, itemsOf, sourceOf, through } from './streams.js';

const IN_FLIGHT = 100_000;

/** The numbers below `count` in an order without order, the same in every run. */
function shuffled(count: number): Uint32Array {
  const order = Uint32Array.from({ length: count }, (_, at) => at);
  let state = 1;
  for (let at = count - 1; at > 0; at--) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    const other = state % (at + 1);
    const kept = order[at] as number;
    order[at] = order[other] as number;
    order[other] = kept;
  }
  return order;
}

const inOrder = (count: number): Uint32Array => Uint32Array.from({ length: count }, (_, at) => at);

const trackerFor = (maxInFlight: number): OffsetTracker =>
  new OffsetTracker(new InMemoryOffsetStore(), { strategy: CommitStrategy.periodic(1000), maxInFlight });

async function deliveriesOf(tracker: OffsetTracker, count: number): Promise<TrackedDelivery[]> {
  await tracker.record('source', 0);
  return Array.from({ length: count }, (_, at) => tracker.track('source', at + 1));
}

/** Acks of deliveries that are all in flight when the first one comes. */
function acking(name: string, count: number, orderOf: (count: number) => Uint32Array): Variant {
  const order = orderOf(count);
  return {
    name,
    prepare: async () => {
      const tracker = trackerFor(count + 1);
      const deliveries = await deliveriesOf(tracker, count);
      return {
        run: async () => {
          for (const at of order) void deliveries[at]?.ack();
          await tracker.commitAll();
          return count;
        },
        end: () => tracker.close(),
      };
    },
  };
}

/** As large as a delivery. What its memory costs that it is reached by is what an ack can cost at the least. */
class Flag {
  set = false;
  readonly filling = [0, 1];
  readonly a = 0;
  readonly b = 0;
  readonly c = 0;
  readonly d = 0;
}

/** The least that acks in such an order could do: setting a flag on as many objects. */
function setting(name: string, count: number, orderOf: (count: number) => Uint32Array): Variant {
  const order = orderOf(count);
  return {
    name,
    prepare: () => {
      const flags = Array.from({ length: count }, () => new Flag());
      return {
        run: () => {
          for (const at of order) (flags[at] as Flag).set = true;
          return flags.length;
        },
      };
    },
  };
}

async function run(bench: Bench): Promise<void> {
  const items = itemsOf(bench.pick(500_000, 50_000));
  const bare = 'bare Transform';
  const acks = 'withAcks, every delivery acked by the sink, memory store';
  const group = await bench.compare(
    'a pipeline, acks in order',
    [
      through(bare, items, bareTransform),
      {
        name: acks,
        prepare: () => {
          const tracker = trackerFor(10_000);
          const options = { source: 'items', offsetOf: ({ id }: Item) => id };
          return {
            run: async () => {
              await pipeline(sourceOf(items), withAcks(tracker, options), ackDeliveries());
              return items.length;
            },
            end: () => tracker.close(),
          };
        },
      },
    ],
    bench.pick(21, 5),
  );
  bench.atLeast('withAcks, acks in order, against the bare Transform', group.between(acks, bare), 0.5);

  const ordered = 'acks in order';
  const random = 'acks in random order';
  const inFlight = await bench.compare(
    '100,000 in flight',
    [
      acking(ordered, IN_FLIGHT, inOrder),
      acking(random, IN_FLIGHT, shuffled),
      setting('a flag set on each of as many objects, in order', IN_FLIGHT, inOrder),
      setting('the same flags, set in random order', IN_FLIGHT, shuffled),
    ],
    bench.pick(21, 3),
  );
  bench.atMost(
    'an ack in random order with 100,000 in flight, against one in order (time)',
    inFlight.between(ordered, random),
    1.5,
  );

  bench.atMost(
    'a delivery of track() in flight, with 100,000 of them',
    await bytesInFlight(bench, IN_FLIGHT),
    150,
    'bytes',
  );

  const points: Point[] = [];
  for (const count of bench.pick([1, 10, 100, 1000, 10_000, 100_000], [1, 1000, 100_000])) {
    points.push({ line: ordered, x: count, y: await costOfAck(bench, count, inOrder(count)) });
    points.push({ line: random, x: count, y: await costOfAck(bench, count, shuffled(count)) });
  }
  bench.series({
    id: 'acks-in-flight',
    title: 'Cost of an ack against the deliveries in flight',
    x: 'deliveries in flight',
    y: 'ns per ack',
    points,
  });
}

/** Nanoseconds for an ack, tracking not counted. Few deliveries are tracked and acked again and again. */
async function costOfAck(bench: Bench, count: number, order: Uint32Array): Promise<number> {
  const costs: number[] = [];
  const turns = Math.max(1, Math.floor(bench.pick(100_000, 20_000) / count));
  for (let round = -2; round < bench.pick(9, 1); round++) {
    const tracker = trackerFor(count + 1);
    await tracker.record('source', 0);
    let spent = 0;
    let offset = 0;
    globalThis.gc?.({ type: 'minor' });
    // The clock costs as much as an ack, so a few turns of few deliveries are made ready together.
    for (let turn = 0; turn < turns; turn++) {
      const deliveries = Array.from({ length: count }, () => tracker.track('source', ++offset));
      const start = performance.now();
      for (const at of order) void deliveries[at]?.ack();
      spent += performance.now() - start;
    }
    if (round >= 0) costs.push((spent * 1e6) / (turns * count));
    await tracker.close();
  }
  return median(costs);
}

/** In a function of its own: what a round before has made must not live on in the variables of a loop. */
async function bytesInFlightOnce(count: number): Promise<number> {
  const { gc } = globalThis;
  if (gc === undefined) throw new Error('Expected --expose-gc');
  const tracker = trackerFor(count + 1);
  await tracker.record('source', 0);
  const deliveries = Array.from<TrackedDelivery | undefined>({ length: count });
  gc();
  const before = process.memoryUsage().heapUsed;
  for (let at = 0; at < count; at++) deliveries[at] = tracker.track('source', at + 1);
  gc();
  const after = process.memoryUsage().heapUsed;
  for (const delivery of deliveries) void delivery?.ack();
  await tracker.close();
  return (after - before) / count;
}

/** What the heap grows by for each delivery that is tracked and not acked; the caller's array is not counted. */
export async function bytesInFlight(bench: Bench, count: number): Promise<number> {
  const sizes: number[] = [];
  for (let round = -1; round < bench.pick(5, 2); round++) {
    const size = await bytesInFlightOnce(count);
    if (round >= 0) sizes.push(size);
  }
  return median(sizes);
}

export const acks: Suite = {
  name: 'acks',
  question: 'What does it cost to hand items out with an ack, in order and out of order?',
  run,
};
