import { DeliveryError } from '../errors.js';
import { messageOf } from '../failures.js';
import type { Metadata } from '../metadata.js';
import { Offset } from '../offset.js';
import { DONE } from '../tracker/deliveries.js';
import { HandedOut, type NackPolicy } from '../tracker/delivery.js';
import { assertInteger, quote } from '../validate.js';

/**
 * An item that `withAcks()` handed out. Its source is committed up to the newest item such that it and all before
 * it are acked: so each delivery wants exactly one `ack()` or `nack()` once its work is done, in any order.
 */
export interface Delivery<T> {
  /** The item, or what `map()` made of it. */
  readonly value: T;
  /** The name of the item's source. */
  readonly source: string;
  /** The item's own offset. */
  readonly offset: Offset;

  /**
   * The work is done. Resolves at once, save where the strategy commits now; then once that is committed. A failed
   * commit also destroys the stream, so that nobody must await this. A second call does nothing.
   *
   * @throws as a rejection, the error of the commit; ClosedError `OFFSET_CLOSED` once the tracker is closed
   */
  ack(): Promise<void>;

  /**
   * The work failed: what follows is the stream's `onNack`. Nobody must await it; a second call does nothing, and an
   * ack afterwards neither.
   *
   * @param reason - what went wrong; an Error is what the stream is destroyed with
   * @throws as a rejection, the error of the `onNack` function, or else what `ack()` rejects with
   */
  nack(reason?: unknown): Promise<void>;

  /**
   * The delivery of another value that was made of this one: acking it acks this. What `fn` throws is thrown on,
   * and nothing is acked.
   */
  map<U>(fn: (value: T) => U): Delivery<U>;

  /**
   * So many deliveries in place of this one, for work that makes several of one: it is acked once all of them are,
   * and nacked by the first that is. With 0 it is acked now.
   *
   * @param count - 0 … 2^32-1
   * @throws TypeError or RangeError
   * @example
   * ```ts
   * const lines = delivery.value.lines;
   * return delivery.fanOut(lines.length).map((part, i) => part.map(() => lines[i]));
   * ```
   */
  fanOut(count: number): Delivery<T>[];
}

/** The stream that a delivery came from, as the delivery needs it. */
export interface DeliveryOwner<T> {
  readonly onNack: NackPolicy<Delivery<T>>;
  /** A delivery was acked, or its nack was dealt with. */
  onSettled(): void;
  /** Destroys the stream with the error. */
  fail(error: unknown): void;
  /** Waits until all deliveries are settled, and commits. */
  whenSettled(options: { readonly timeoutMs: number }): Promise<void>;
}

/** A delivery as it leaves the stream. It is itself the node in its source's list: many may be in flight. */
export class StreamDelivery<T> extends HandedOut implements Delivery<T> {
  declare readonly value: T;
  declare readonly owner: DeliveryOwner<T>;

  constructor(value: T, place: number | Offset, metadata: Metadata | undefined, owner: DeliveryOwner<T>) {
    super(place, metadata);
    this.value = value;
    this.owner = owner;
  }

  override ack(): Promise<void> {
    if (this.settled) return DONE;
    const acked = super.ack();
    this.owner.onSettled();
    if (acked !== DONE) acked.catch((error: unknown) => this.owner.fail(error));
    return acked;
  }

  nack(reason?: unknown): Promise<void> {
    const { owner } = this;
    const nacked = this.settle<Delivery<T>>(owner.onNack, this, reason, () => {
      owner.fail(nackError(this, reason));
    });
    if (nacked !== DONE) nacked.catch((error: unknown) => owner.fail(error));
    return nacked;
  }

  map<U>(fn: (value: T) => U): Delivery<U> {
    return new DerivedDelivery(fn(this.value), this);
  }

  fanOut(count: number): Delivery<T>[] {
    return fanOut(this, count);
  }
}

/** What is left of a delivery when its value is another's. */
interface Settled extends Pick<Delivery<unknown>, 'source' | 'offset' | 'ack' | 'nack'> {
  readonly owner: Pick<DeliveryOwner<never>, 'whenSettled'>;
}

/** One that stands for another. */
class DerivedDelivery<T> implements Delivery<T> {
  readonly value: T;
  readonly of: Settled;

  constructor(value: T, of: Settled) {
    this.value = value;
    this.of = of;
  }

  get owner(): Settled['owner'] {
    return this.of.owner;
  }

  get source(): string {
    return this.of.source;
  }

  get offset(): Offset {
    return this.of.offset;
  }

  ack(): Promise<void> {
    return this.of.ack();
  }

  nack(reason?: unknown): Promise<void> {
    return this.of.nack(reason);
  }

  map<U>(fn: (value: T) => U): Delivery<U> {
    return new DerivedDelivery(fn(this.value), this.of);
  }

  fanOut(count: number): Delivery<T>[] {
    return fanOut(this, count);
  }
}

function fanOut<T>(parent: Delivery<T> & Settled, count: number): Delivery<T>[] {
  assertInteger('count', count, 0, 2 ** 32 - 1);
  let left = count;
  if (left === 0) void parent.ack().catch(() => undefined);
  return Array.from({ length: count }, () => {
    let acked = false;
    return new DerivedDelivery(parent.value, {
      owner: parent.owner,
      source: parent.source,
      offset: parent.offset,
      ack: () => {
        if (acked) return DONE;
        acked = true;
        return --left === 0 ? parent.ack() : DONE;
      },
      nack: (reason) => {
        if (acked) return DONE;
        acked = true;
        return parent.nack(reason);
      },
    });
  });
}

/** What a stream fails with when a delivery is nacked: the reason, where that is an error. */
function nackError(delivery: Delivery<unknown>, reason: unknown): Error {
  if (reason instanceof Error) return reason;
  const { source, offset } = delivery;
  const place = `The delivery at ${quote(Offset.format(offset))} of source ${quote(source)} was nacked`;
  return new DeliveryError(reason === undefined ? place : `${place}: ${messageOf(reason)}`, {
    source,
    cause: reason,
  });
}
