import path from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { Attributes, Meter } from '@opentelemetry/api';
import { type DataPoint, type Histogram, MeterProvider, MetricReader } from '@opentelemetry/sdk-metrics';
import { buildSync } from 'esbuild';
import { CommitStrategy } from '../../lib/commit-strategy.js';
import { OffsetIoError } from '../../lib/errors.js';
import { observeTracker, type ObserveTrackerOptions } from '../../lib/otel/index.js';
import { InMemoryOffsetStore } from '../../lib/stores/memory.js';
import {
  behindChannel,
  commitChannel,
  commitErrorChannel,
  fencedChannel,
  stuckChannel,
} from '../../lib/tracker/channels.js';
import { OffsetTracker } from '../../lib/tracker/offset-tracker.js';
import { FakeClock } from '../support/fake-clock.js';
import { FlakyStore } from '../support/flaky-store.js';

class Reader extends MetricReader {
  protected async onShutdown(): Promise<void> {}
  protected async onForceFlush(): Promise<void> {}
}

/** One data point, the metric's name aside: of a histogram, its count and sum. */
interface Point {
  readonly value: number | { readonly count: number; readonly sum: number | undefined };
  readonly attributes: Attributes;
}

let reader: Reader;
let provider: MeterProvider;
let meter: Meter;

beforeEach(() => {
  reader = new Reader();
  provider = new MeterProvider({ readers: [reader] });
  meter = provider.getMeter('spec');
});

afterEach(() => provider.shutdown());

/** What a collection gives, by instrument without the common prefix. */
async function collected(): Promise<Record<string, Point[]>> {
  const { resourceMetrics, errors } = await reader.collect();
  expect(errors).toEqual([]);
  const points: Record<string, Point[]> = {};
  for (const { descriptor, dataPoints } of resourceMetrics.scopeMetrics.flatMap(({ metrics }) => metrics)) {
    const name = descriptor.name.replace(/^streamweave_offset\./, '');
    points[name] = (dataPoints as DataPoint<number | Histogram>[]).map(({ value, attributes }) => ({
      attributes,
      value: typeof value === 'number' ? value : { count: value.count, sum: value.sum },
    }));
  }
  return points;
}

/** The only value of an instrument. */
async function only(name: string): Promise<Point['value'] | undefined> {
  const points = (await collected())[name] ?? [];
  expect(points.length).toBeLessThanOrEqual(1);
  return points[0]?.value;
}

function at(value: Point['value'], attributes: Attributes = {}): Point {
  return { value, attributes };
}

describe('observeTracker()', () => {
  it('names its instruments, their units and kinds', async () => {
    const store = new FlakyStore();
    const tracker = new OffsetTracker(store);
    const stop = observeTracker(tracker, { meter });
    await tracker.record('a', 1);
    await expect(tracker.record('a', 0)).rejects.toThrow('lies before');
    store.failNext('commit', new Error('no'));
    await expect(tracker.record('a', 2)).rejects.toThrow('no');
    const { resourceMetrics } = await reader.collect();
    const made = resourceMetrics.scopeMetrics
      .flatMap(({ metrics }) => metrics)
      .map(({ descriptor, dataPointType }) => `${descriptor.name} ${descriptor.unit} ${dataPointType}`);
    // (0: histogram, 2: gauge, 3: sum.)
    expect(made.toSorted()).toEqual([
      'streamweave_offset.behind {offset} 3',
      'streamweave_offset.commit.duration s 0',
      'streamweave_offset.commit.errors {error} 3',
      'streamweave_offset.commits {commit} 3',
      'streamweave_offset.committed {item} 3',
      'streamweave_offset.in_flight {item} 3',
      'streamweave_offset.oldest_pending.age s 2',
      'streamweave_offset.pending {item} 3',
    ]);
    stop();
  });

  it('counts commits, what they covered and how long they took', async () => {
    const clock = new FakeClock();
    const store = new FlakyStore();
    const tracker = new OffsetTracker(store, { strategy: CommitStrategy.manual, clock });
    const stop = observeTracker(tracker, { meter });
    for (const id of [1, 2, 3]) await tracker.record('a', id);
    store.hold('commit');
    const commit = tracker.commit('a');
    await clock.advance(250);
    store.open();
    await commit;
    await tracker.record('b', 1);
    await tracker.commitAll();
    expect(await collected()).toMatchObject({
      commits: [at(2)],
      committed: [at(4)],
      'commit.duration': [at({ count: 2, sum: 0.25 })],
    });
    stop();
  });

  it('counts failed commits by the kind of their error, and how long they took', async () => {
    const clock = new FakeClock();
    const store = new FlakyStore();
    const tracker = new OffsetTracker(store, { clock });
    const stop = observeTracker(tracker, { meter });
    store.failNext(
      'commit',
      new OffsetIoError('disk'),
      new TypeError('bug'),
      Object.assign(new Error('net'), { code: 'ECONNREFUSED' }),
      undefined,
    );
    for (const id of [1, 2, 3, 4]) await tracker.record('a', id).catch(() => undefined);
    const points = await collected();
    const types = points['commit.errors']!.map(({ value, attributes }) => [attributes['error.type'], value]);
    // What the store rejected with is wrapped or not; each failure has a name of its own or is the library's.
    expect(types.reduce((sum, [, value]) => sum + (value as number), 0)).toBe(4);
    expect(points['commit.duration']!.map(({ attributes }) => attributes['error.type'])).toEqual(
      types.map(([type]) => type),
    );
    expect(types.map(([type]) => type)).toContain('OFFSET_IO');
    expect(points['commits']).toBeUndefined();
    stop();
  });

  it('shows what is pending, in flight, and for how long', async () => {
    const clock = new FakeClock();
    const tracker = new OffsetTracker(new InMemoryOffsetStore(), { strategy: CommitStrategy.manual, clock });
    const stop = observeTracker(tracker, { meter });
    await tracker.record('a', 1);
    await clock.advance(1500);
    await tracker.record('b', 1);
    tracker.track('b', 2);
    expect(await collected()).toMatchObject({
      pending: [at(2)],
      in_flight: [at(1)],
      'oldest_pending.age': [at(1.5)],
    });
    await tracker.commitAll();
    expect(await collected()).toMatchObject({
      pending: [at(0)],
      in_flight: [at(1)],
      'oldest_pending.age': [at(0)],
    });
    stop();
  });

  it('counts sources that were fenced, and offsets that came too late', async () => {
    const store = new InMemoryOffsetStore();
    const tracker = new OffsetTracker(store);
    const stop = observeTracker(tracker, { meter });
    await tracker.record('a', 5);
    await expect(tracker.record('a', 4)).rejects.toMatchObject({ code: 'OFFSET_BEHIND' });
    await store.claim('a');
    await expect(tracker.record('a', 6)).rejects.toMatchObject({ code: 'OFFSET_FENCED' });
    const points = await collected();
    expect(points).toMatchObject({
      behind: [at(1)],
      fenced: [at(1)],
      'commit.errors': [at(1, { 'error.type': 'OFFSET_FENCED' })],
    });
    stop();
  });

  it('counts reports of stuck deliveries', async () => {
    const clock = new FakeClock();
    const tracker = new OffsetTracker(new InMemoryOffsetStore(), { clock, stuckAfterMs: 1000 });
    const stop = observeTracker(tracker, { meter });
    tracker.track('a', 1);
    await clock.advance(10_000);
    expect(await only('stuck')).toBeGreaterThanOrEqual(1);
    stop();
    await tracker.close();
  });

  it('names sources only when asked to', async () => {
    const tracker = new OffsetTracker(new InMemoryOffsetStore());
    const stops = [
      observeTracker(tracker, { meter, attributes: { view: 'whole' } }),
      observeTracker(tracker, { meter, attributes: { view: 'parts' }, perSource: true }),
    ];
    await tracker.record('a', 1);
    await tracker.record('a', 2);
    await tracker.record('b', 1);
    const { commits, pending } = await collected();
    expect(commits).toEqual([
      at(3, { view: 'whole' }),
      at(2, { view: 'parts', 'streamweave_offset.source': 'a' }),
      at(1, { view: 'parts', 'streamweave_offset.source': 'b' }),
    ]);
    expect(pending).toEqual([
      at(0, { view: 'whole' }),
      at(0, { view: 'parts', 'streamweave_offset.source': 'a' }),
      at(0, { view: 'parts', 'streamweave_offset.source': 'b' }),
    ]);
    for (const stop of stops) stop();
  });

  it('tells trackers apart by their attributes', async () => {
    const [one, other] = [1, 2].map(
      () => new OffsetTracker(new InMemoryOffsetStore(), { strategy: CommitStrategy.periodic(2) }),
    );
    const stops = [
      observeTracker(one!, { meter, attributes: { pipeline: 'one' } }),
      observeTracker(other!, { meter, attributes: { pipeline: 'other' } }),
    ];
    const unobserved = new OffsetTracker(new InMemoryOffsetStore());
    for (const id of [1, 2, 3]) await one!.record('a', id);
    await other!.record('a', 1);
    await unobserved.record('a', 1);
    expect(await collected()).toMatchObject({
      commits: [at(1, { pipeline: 'one' })],
      pending: [at(1, { pipeline: 'one' }), at(1, { pipeline: 'other' })],
    });
    for (const stop of stops) stop();
  });

  it('adds up trackers with the same attributes, collection after collection', async () => {
    const trackers = [3, 5].map((n) => ({
      n,
      tracker: new OffsetTracker(new InMemoryOffsetStore(), { strategy: CommitStrategy.manual }),
    }));
    const stops = trackers.map(({ tracker }) => observeTracker(tracker, { meter }));
    for (const { n, tracker } of trackers) for (let id = 0; id < n; id++) await tracker.record('a', id);
    for (let round = 0; round < 3; round++) expect(await only('pending')).toBe(8);
    stops[0]!();
    expect(await only('pending')).toBe(5);
    stops[1]!();
  });

  it('ends when told to, and twice is no harm', async () => {
    const channels = [commitChannel, commitErrorChannel, fencedChannel, behindChannel, stuckChannel];
    const tracker = new OffsetTracker(new InMemoryOffsetStore(), { strategy: CommitStrategy.periodic(2) });
    const stop = observeTracker(tracker, { meter });
    expect(channels.map((channel) => channel.hasSubscribers)).toEqual(channels.map(() => true));
    for (const id of [1, 2, 3]) await tracker.record('a', id);
    expect(await collected()).toMatchObject({ commits: [at(1)], pending: [at(1)] });
    stop();
    stop();
    for (const id of [4, 5]) await tracker.record('a', id);
    // What it had pending is none of this meter's any more, at each collection from now on.
    for (let round = 0; round < 3; round++) {
      expect(await collected()).toMatchObject({
        commits: [at(1)],
        pending: [at(0)],
        'oldest_pending.age': [at(0)],
      });
    }
    expect(channels.map((channel) => channel.hasSubscribers)).toEqual(channels.map(() => false));
    // And begins again.
    const stopAgain = observeTracker(tracker, { meter });
    await tracker.record('a', 6);
    expect(await collected()).toMatchObject({ commits: [at(2)], pending: [at(0)] });
    stopAgain();
  });

  it('keeps nothing of a tracker once it ended', async () => {
    setFlagsFromString('--expose-gc');
    const collectGarbage = runInNewContext('gc') as () => void;
    const observed = await (async () => {
      const tracker = new OffsetTracker(new InMemoryOffsetStore());
      const stop = observeTracker(tracker, { meter, perSource: true });
      await tracker.record('a', 1);
      await collected();
      stop();
      await tracker.close();
      return { tracker: new WeakRef(tracker), stop: new WeakRef(stop) };
    })();
    for (let round = 0; round < 10 && observed.tracker.deref() !== undefined; round++) {
      await new Promise(setImmediate);
      collectGarbage();
    }
    expect(observed.tracker.deref()).toBeUndefined();
  });

  it('can be read after the tracker was closed', async () => {
    const tracker = new OffsetTracker(new InMemoryOffsetStore());
    const stop = observeTracker(tracker, { meter });
    await tracker.record('a', 1);
    await tracker.close();
    expect(await collected()).toMatchObject({ commits: [at(1)], pending: [at(0)] });
    stop();
  });

  it('refuses wrong arguments', () => {
    const tracker = new OffsetTracker(new InMemoryOffsetStore());
    const attempt =
      (...args: unknown[]) =>
      () =>
        observeTracker(args[0] as OffsetTracker, args[1] as ObserveTrackerOptions);
    expect(attempt({}, { meter })).toThrow('Expected `tracker` to be an OffsetTracker, got an object');
    expect(attempt(tracker)).toThrow('Expected options with `meter`, got undefined');
    expect(attempt(tracker, {})).toThrow('Expected `meter` to be a Meter of OpenTelemetry, got undefined');
    expect(attempt(tracker, { meter: provider })).toThrow('got an instance of MeterProvider');
    expect(attempt(tracker, { meter, attributes: 'x' })).toThrow('Expected `attributes` to be an object');
    expect(attempt(tracker, { meter, perSource: 1 })).toThrow('Expected `perSource` to be a boolean');
    expect(commitChannel.hasSubscribers).toBe(false);
  });
});

it('loads nothing of OpenTelemetry', () => {
  const { metafile } = buildSync({
    entryPoints: [path.join(__dirname, '../../lib/otel/index.ts')],
    absWorkingDir: path.join(__dirname, '../..'),
    bundle: true,
    packages: 'external',
    platform: 'node',
    format: 'esm',
    metafile: true,
    write: false,
    logLevel: 'silent',
  });
  const external = Object.values(metafile.inputs).flatMap(({ imports }) =>
    imports.filter((imported) => imported.external === true).map((imported) => imported.path),
  );
  expect(external).toContain('node:diagnostics_channel');
  expect(external.filter((name) => !name.startsWith('node:'))).toEqual([]);
});
