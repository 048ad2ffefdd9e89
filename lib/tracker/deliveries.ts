import { behindError, Offset, type OffsetInput } from '../offset.js';
import type { Metadata } from '../metadata.js';
import type { Clock } from './clock.js';
import { Watermark, type WatermarkNode } from './watermark.js';

/**
 * The promise of whatever is done already. It is one object for all, so that a caller on a hot path can
 * recognise it and go on without waiting.
 */
export const DONE: Promise<void> = Promise.resolve();

/**
 * An item that was handed out: its node in the list of its source. Kept small, for many may be in flight, and its fields
 * are set by the constructor alone, for defining them first takes a good part of the time that a delivery costs.
 */
export class DeliveryNode implements WatermarkNode {
  declare readonly place: number | Offset;
  declare readonly metadata: Metadata | undefined;
  declare index: number;
  declare next: this | undefined;
  declare done: boolean;

  constructor(place: number | Offset, metadata: Metadata | undefined) {
    this.place = place;
    this.metadata = metadata;
    this.index = 0;
    this.next = undefined;
    this.done = false;
  }

  get offset(): Offset {
    return Offset.from(this.place);
  }
}

/** What the deliveries of a source need of it. */
export interface DeliveriesContext {
  readonly source: string;
  readonly clock: Clock;
  readonly monotonic: boolean;
  readonly stuckAfterMs: number;
  /** Records the place that the watermark has reached; `items` is how many deliveries it passed for that. */
  readonly record: (reached: DeliveryNode, items: number) => Promise<void>;
  /** A delivery was refused. */
  readonly onBehind: (offset: Offset, error: Error) => void;
  /** The oldest delivery has been in flight for longer than `stuckAfterMs`; called once for each such. */
  readonly onStuck: (offset: Offset, ageMs: number, inFlight: number) => void;
}

/** The deliveries of one source: the watermark under them, how many there may be, and which of them takes too long. */
export class Deliveries {
  readonly #context: DeliveriesContext;
  readonly #watermark = new Watermark<DeliveryNode>();
  /** The place handed out last; undefined once a reset or a clear was asked for. */
  #newest: number | Offset | undefined;
  /** Who waits for fewer deliveries in flight. */
  #waiting: { readonly below: number; readonly resolve: () => void }[] = [];
  /**
   * How many deliveries there had been at some moments, the oldest first: so the age of each is known well enough
   * without asking for the time at each. The first is the oldest at which the present head was there.
   */
  #marks: { readonly added: number; readonly at: number }[] = [];
  #stuckAfterMs: number;
  #timer: unknown;
  #stopped = false;
  #reported: DeliveryNode | undefined;

  constructor(context: DeliveriesContext) {
    this.#context = context;
    this.#stuckAfterMs = context.stuckAfterMs;
  }

  get inFlight(): number {
    return this.#watermark.size;
  }

  /** How many there ever were: the index of the next. */
  get added(): number {
    return this.#watermark.added;
  }

  /**
   * Hands out a delivery.
   *
   * @throws InvalidOffsetError `OFFSET_BEHIND`
   */
  add(node: DeliveryNode): void {
    const newest = this.#newest;
    const { place } = node;
    if (newest !== undefined && this.#context.monotonic && isBehind(place, newest)) {
      const error = behindError(this.#context.source, node.offset, Offset.from(newest), 'recorded');
      this.#context.onBehind(node.offset, error);
      throw error;
    }
    this.#newest = place;
    this.#watermark.add(node);
    if (this.#timer === undefined) this.#mark();
  }

  /** Its work is done: records what the watermark thereby reaches. */
  ack(node: DeliveryNode): Promise<void> {
    node.done = true;
    const head = this.#watermark.head;
    if (node !== head) return DONE;
    const first = head.index;
    const reached = this.#watermark.advance()!;
    if (this.#waiting.length > 0) this.#wake();
    return this.#context.record(reached, reached.index - first + 1);
  }

  /** From now on deliveries may begin at an earlier place again; gives the index up to which they are to be cut. */
  rewind(): number {
    this.#newest = undefined;
    return this.#watermark.added;
  }

  /**
   * Cuts off the deliveries before the index. What was handed out since and is acked may now be recorded: it is
   * given, with the number of deliveries that the watermark passed.
   */
  cut(before: number): { readonly reached: DeliveryNode; readonly items: number } | undefined {
    const head = this.#watermark.head;
    const reached = this.#watermark.cut(before);
    if (this.#waiting.length > 0) this.#wake();
    if (reached === undefined) return undefined;
    return { reached, items: reached.index - Math.max(before, head!.index) + 1 };
  }

  isCut(index: number): boolean {
    return this.#watermark.isCut(index);
  }

  /** Resolves when fewer than so many are in flight. */
  whenBelow(limit: number): Promise<void> {
    if (this.inFlight < limit) return DONE;
    return new Promise((resolve) => {
      this.#waiting.push({ below: limit, resolve });
    });
  }

  #wake(): void {
    const { inFlight } = this;
    this.#waiting = this.#waiting.filter(({ below, resolve }) => {
      if (inFlight >= below) return true;
      resolve();
      return false;
    });
  }

  /** From now on reports deliveries that have been in flight for so long. */
  reportStuckAfter(ms: number): void {
    this.#stuckAfterMs = ms;
    if (this.#timer === undefined) return;
    this.#disarm();
    this.#mark();
  }

  /** No timer from now on, and nobody waits any longer: the tracker is being closed. */
  stop(): void {
    this.#stopped = true;
    this.#disarm();
    for (const { resolve } of this.#waiting) resolve();
    this.#waiting = [];
  }

  #disarm(): void {
    if (this.#timer === undefined) return;
    this.#context.clock.clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  /** Notes how many deliveries there are now, and looks again a quarter of `stuckAfterMs` later. */
  #mark(): void {
    if (this.#stopped) return;
    const { clock } = this.#context;
    this.#marks.push({ added: this.added, at: clock.now() });
    // The first is needed for the head, the last ones for what comes after it.
    if (this.#marks.length > MOST_MARKS) this.#marks.splice(1, 1);
    this.#timer = clock.setTimeout(() => this.#look(), Math.ceil(this.#stuckAfterMs / 4));
    // A report is nothing to keep a process alive for.
    (this.#timer as { unref?: () => void }).unref?.();
  }

  /** Only the oldest is looked at: it is what holds the watermark back. */
  #look(): void {
    this.#timer = undefined;
    const head = this.#watermark.head;
    if (head === undefined) {
      // The next delivery begins anew.
      this.#marks = [];
      return;
    }
    this.#marks = this.#marks.filter(({ added }) => added > head.index);
    this.#mark();
    const ageMs = this.#context.clock.now() - this.#marks[0]!.at;
    if (ageMs < this.#stuckAfterMs || head === this.#reported) return;
    this.#reported = head;
    this.#context.onStuck(head.offset, ageMs, this.inFlight);
  }
}

/** Enough for the age of a delivery to be known to a quarter of `stuckAfterMs`. */
const MOST_MARKS = 8;

/** A place that takes no object where it needs none: numbers stay. */
export function placeOf(input: OffsetInput): number | Offset {
  return typeof input === 'number' && Number.isSafeInteger(input) && input >= 0 ? input : Offset.from(input);
}

function isBehind(place: number | Offset, than: number | Offset): boolean {
  if (typeof place === 'number' && typeof than === 'number') return place < than;
  return (Offset.compare(Offset.from(place), Offset.from(than)) ?? 0) < 0;
}
