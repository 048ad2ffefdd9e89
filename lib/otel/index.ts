/**
 * Binds a tracker to an OpenTelemetry meter. The meter comes from the caller, so nothing of `@opentelemetry/api` is
 * loaded here, and only its types are used.
 */
import { type Channel, subscribe, unsubscribe } from 'node:diagnostics_channel';
import type {
  Attributes,
  BatchObservableResult,
  Counter,
  Histogram,
  Meter,
  Observable,
} from '@opentelemetry/api';
import {
  behindChannel,
  commitChannel,
  commitErrorChannel,
  fencedChannel,
  stuckChannel,
} from '../tracker/channels.js';
import { OffsetTracker, type TrackerStats } from '../tracker/offset-tracker.js';
import { argumentTypeError } from '../validate.js';

/** The options of {@link observeTracker}. */
export interface ObserveTrackerOptions {
  /** Where the instruments are made: `metrics.getMeter('…')` of `@opentelemetry/api`, or of a MeterProvider. */
  readonly meter: Meter;
  /** Put on everything measured: what tells this tracker apart from others. Default: none. */
  readonly attributes?: Attributes | undefined;
  /**
   * Tell sources apart, by the attribute `streamweave_offset.source`: one time series of each instrument for each
   * source that the tracker ever touched, so only where those are few. Default: false.
   */
  readonly perSource?: boolean | undefined;
}

/** What a tracker's figures say at the time of a collection. */
interface Levels extends Pick<TrackerStats, 'pending' | 'inFlight' | 'oldestPendingMs'> {
  readonly attributes: Attributes;
}

const NOTHING = { pending: 0, inFlight: 0, oldestPendingMs: undefined };

interface Observed {
  readonly tracker: OffsetTracker;
  readonly attributes: Attributes;
  readonly perSource: boolean;
}

const SOURCE = 'streamweave_offset.source';
const ERROR_TYPE = 'error.type';

/** In seconds; those that OpenTelemetry advises for database calls, which is what a commit is like. */
const DURATION_BOUNDARIES = [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10];

/**
 * The instruments of one meter, and the trackers observed with it. Trackers that carry the same attributes are added
 * up: of two that wrote to the same series at one collection, the SDK would keep an arbitrary one.
 */
class MeterBinding {
  readonly #observed = new Set<Observed>();
  /** Series whose tracker is observed no more: told once more, as 0, for the SDK goes on exporting the last value. */
  readonly #ended = new Map<string, Attributes>();

  readonly commits: Counter;
  readonly commitDuration: Histogram;
  readonly commitErrors: Counter;
  readonly committed: Counter;
  readonly fenced: Counter;
  readonly behind: Counter;
  readonly stuck: Counter;
  readonly #pending: Observable;
  readonly #inFlight: Observable;
  readonly #oldestPendingAge: Observable;

  constructor(meter: Meter) {
    this.commits = meter.createCounter('streamweave_offset.commits', {
      description: 'Commits that landed.',
      unit: '{commit}',
    });
    this.commitDuration = meter.createHistogram('streamweave_offset.commit.duration', {
      description: 'How long commits took, those that failed among them, which carry error.type.',
      unit: 's',
      advice: { explicitBucketBoundaries: DURATION_BOUNDARIES },
    });
    this.commitErrors = meter.createCounter('streamweave_offset.commit.errors', {
      description: 'Commits that failed, after whatever further tries were allowed.',
      unit: '{error}',
    });
    this.committed = meter.createCounter('streamweave_offset.committed', {
      description: 'Recorded items that commits covered.',
      unit: '{item}',
    });
    this.fenced = meter.createCounter('streamweave_offset.fenced', {
      description: 'Sources lost because another process took them over, reset them or cleared them.',
      unit: '{source}',
    });
    this.behind = meter.createCounter('streamweave_offset.behind', {
      description: 'Offsets refused because they lie before what is recorded or committed.',
      unit: '{offset}',
    });
    this.stuck = meter.createCounter('streamweave_offset.stuck', {
      description: 'Deliveries that held a watermark back for longer than stuckAfterMs.',
      unit: '{delivery}',
    });
    this.#pending = meter.createObservableUpDownCounter('streamweave_offset.pending', {
      description: 'Items recorded and not committed.',
      unit: '{item}',
    });
    this.#inFlight = meter.createObservableUpDownCounter('streamweave_offset.in_flight', {
      description: 'Items handed out that the watermark has not passed.',
      unit: '{item}',
    });
    this.#oldestPendingAge = meter.createObservableGauge('streamweave_offset.oldest_pending.age', {
      description: 'How long ago the oldest pending record came; 0 when nothing is pending.',
      unit: 's',
    });
    meter.addBatchObservableCallback(
      (result) => this.#observe(result),
      [this.#pending, this.#inFlight, this.#oldestPendingAge],
    );
  }

  add(observed: Observed): void {
    this.#observed.add(observed);
  }

  delete(observed: Observed): void {
    if (!this.#observed.delete(observed)) return;
    for (const { attributes } of figuresOf(observed)) this.#ended.set(keyOf(attributes), attributes);
  }

  #observe(result: BatchObservableResult): void {
    const series = new Map<string, Levels>();
    for (const attributes of this.#ended.values()) addTo(series, { attributes, ...NOTHING });
    this.#ended.clear();
    for (const observed of this.#observed) {
      for (const figures of figuresOf(observed)) addTo(series, figures);
    }
    for (const { attributes, pending, inFlight, oldestPendingMs } of series.values()) {
      result.observe(this.#pending, pending, attributes);
      result.observe(this.#inFlight, inFlight, attributes);
      result.observe(this.#oldestPendingAge, (oldestPendingMs ?? 0) / 1000, attributes);
    }
  }
}

/** The levels of each series of a tracker. */
function figuresOf({ tracker, attributes, perSource }: Observed): Levels[] {
  if (!perSource) return [{ attributes, ...tracker.stats() }];
  return tracker
    .sources()
    .map((source) => ({ attributes: { ...attributes, [SOURCE]: source }, ...tracker.stats(source) }));
}

function addTo(series: Map<string, Levels>, added: Levels): void {
  const { attributes } = added;
  const key = keyOf(attributes);
  const levels = series.get(key) ?? { attributes, ...NOTHING };
  const ages = [levels.oldestPendingMs, added.oldestPendingMs].filter((ms) => ms !== undefined);
  series.set(key, {
    attributes,
    pending: levels.pending + added.pending,
    inFlight: levels.inFlight + added.inFlight,
    oldestPendingMs: Math.max(0, ...ages),
  });
}

/** The same for the same attributes, in whatever order they were given. */
function keyOf(attributes: Attributes): string {
  return JSON.stringify(Object.entries(attributes).toSorted(([a], [b]) => (a < b ? -1 : 1)));
}

const bindings = new WeakMap<Meter, MeterBinding>();

function bindingOf(meter: Meter): MeterBinding {
  let binding = bindings.get(meter);
  if (binding === undefined) {
    binding = new MeterBinding(meter);
    bindings.set(meter, binding);
  }
  return binding;
}

/**
 * Measures what a tracker does, until the returned function is called:
 *
 * | Instrument                              | Kind            | Unit       |                                        |
 * | --------------------------------------- | --------------- | ---------- | -------------------------------------- |
 * | `streamweave_offset.commits`            | counter         | `{commit}` | commits that landed                    |
 * | `streamweave_offset.commit.duration`    | histogram       | `s`        | `error.type` on those that failed      |
 * | `streamweave_offset.commit.errors`      | counter         | `{error}`  | by `error.type`                        |
 * | `streamweave_offset.committed`          | counter         | `{item}`   | recorded items that commits covered    |
 * | `streamweave_offset.fenced`             | counter         | `{source}` | sources lost to another process        |
 * | `streamweave_offset.behind`             | counter         | `{offset}` | offsets refused as `OFFSET_BEHIND`     |
 * | `streamweave_offset.stuck`              | counter         | `{delivery}` | deliveries older than `stuckAfterMs`   |
 * | `streamweave_offset.pending`            | up-down counter | `{item}`   | recorded, not committed                |
 * | `streamweave_offset.in_flight`          | up-down counter | `{item}`   | handed out, not passed by the watermark|
 * | `streamweave_offset.oldest_pending.age` | gauge           | `s`        | 0 when nothing is pending              |
 *
 * `error.type` is the error's code (`OFFSET_IO`, `ECONNREFUSED`), else its name. The tracker is kept in memory until
 * the returned function is called; a tracker that was closed may go on being observed. Trackers with the same
 * attributes are added up, so give each its own where they are to be told apart.
 *
 * @returns ends the observation; a second call does nothing more
 * @throws TypeError for wrong arguments
 * @example
 * ```ts
 * import { metrics } from '@opentelemetry/api';
 *
 * const stop = observeTracker(tracker, {
 *   meter: metrics.getMeter('shop'),
 *   attributes: { 'shop.pipeline': 'orders' },
 * });
 * await tracker.close();
 * stop();
 * ```
 */
export function observeTracker(tracker: OffsetTracker, options: ObserveTrackerOptions): () => void {
  if (!(tracker instanceof OffsetTracker))
    throw argumentTypeError('`tracker` to be an OffsetTracker', tracker);
  if (typeof options !== 'object' || options === null)
    throw argumentTypeError('options with `meter`', options);
  const { meter, attributes = {}, perSource = false } = options;
  assertMeter(meter);
  if (typeof attributes !== 'object' || attributes === null || Array.isArray(attributes)) {
    throw argumentTypeError('`attributes` to be an object of attributes', attributes);
  }
  if (typeof perSource !== 'boolean') throw argumentTypeError('`perSource` to be a boolean', perSource);

  const binding = bindingOf(meter);
  const observed: Observed = { tracker, attributes: { ...attributes }, perSource };
  const attributesOf = ({ source }: { readonly source: string }): Attributes =>
    perSource ? { ...observed.attributes, [SOURCE]: source } : observed.attributes;

  const ends = [
    listen(commitChannel, tracker, (message) => {
      const of = attributesOf(message);
      binding.commits.add(1, of);
      binding.committed.add(message.items, of);
      binding.commitDuration.record(message.durationMs / 1000, of);
    }),
    listen(commitErrorChannel, tracker, (message) => {
      const of = { ...attributesOf(message), [ERROR_TYPE]: errorType(message.error) };
      binding.commitErrors.add(1, of);
      binding.commitDuration.record(message.durationMs / 1000, of);
    }),
    listen(fencedChannel, tracker, (message) => {
      binding.fenced.add(1, attributesOf(message));
    }),
    listen(behindChannel, tracker, (message) => {
      binding.behind.add(1, attributesOf(message));
    }),
    listen(stuckChannel, tracker, (message) => {
      binding.stuck.add(1, attributesOf(message));
    }),
  ];
  binding.add(observed);
  return () => {
    for (const end of ends) end();
    binding.delete(observed);
  };
}

/** Calls back for what the channel tells of this tracker; gives the function that ends that. */
function listen<Message extends { readonly tracker: OffsetTracker }>(
  channel: Channel<unknown, Message>,
  tracker: OffsetTracker,
  callback: (message: Message) => void,
): () => void {
  const listener = (message: unknown): void => {
    if ((message as Message).tracker === tracker) callback(message as Message);
  };
  subscribe(channel.name, listener);
  return () => unsubscribe(channel.name, listener);
}

/** A name for the kind of an error of which there are few. */
function errorType(error: unknown): string {
  const { code, name } = (error ?? {}) as { code?: unknown; name?: unknown };
  if (typeof code === 'string' && code !== '') return code;
  return typeof name === 'string' && name !== '' ? name : '_OTHER';
}

function assertMeter(meter: unknown): asserts meter is Meter {
  const given = meter as Partial<Record<keyof Meter, unknown>> | null | undefined;
  const whole =
    typeof given === 'object' &&
    given !== null &&
    (['createCounter', 'createHistogram', 'addBatchObservableCallback'] as const).every(
      (name) => typeof given[name] === 'function',
    );
  if (!whole) throw argumentTypeError('`meter` to be a Meter of OpenTelemetry', meter);
}
