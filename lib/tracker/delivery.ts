import { ClosedError } from '../errors.js';
import type { Metadata } from '../metadata.js';
import type { Offset } from '../offset.js';
import { argumentTypeError } from '../validate.js';
import type { Committer } from './committer.js';
import { DeliveryNode, DONE } from './deliveries.js';

/** An item that was handed out, and is not known to be done. */
export interface TrackedDelivery {
  /**
   * Its work is done. In any order; a second call does nothing. Resolves and rejects as `record()` would for
   * the offset that the watermark thereby reaches, at once while an earlier delivery is not done.
   */
  ack(): Promise<void>;
  /**
   * Its work failed; what follows is the tracker's `onNack`. A second call does nothing, an ack afterwards neither.
   * Resolves once that is done, and rejects as the `onNack` function or the ack after it does.
   */
  nack(reason?: unknown): Promise<void>;
}

/** What a function given as `onNack` learns of a delivery. */
export interface NackedDelivery {
  /** The name of the item's source. */
  readonly source: string;
  /** The item's own offset. */
  readonly offset: Offset;
}

/** What a `nack()` does; see {@link OffsetTrackerOptions.onNack}. */
export type NackPolicy<D> = 'fail' | 'skip' | ((delivery: D, reason: unknown) => void | Promise<void>);

export function assertNackPolicy(policy: unknown): void {
  if (policy === 'fail' || policy === 'skip' || typeof policy === 'function') return;
  throw argumentTypeError("`onNack` to be 'fail', 'skip' or a function", policy);
}

/** A delivery that knows its source: what `track()` and `withAcks()` hand out. */
export abstract class HandedOut extends DeliveryNode {
  /** Set when it is handed out. */
  declare committer: Committer;
  /** It was acked or nacked, and further calls do nothing. */
  declare settled: boolean;

  constructor(place: number | Offset, metadata: Metadata | undefined) {
    super(place, metadata);
    this.committer = undefined as never;
    this.settled = false;
  }

  get source(): string {
    return this.committer.source;
  }

  ack(): Promise<void> {
    if (this.settled) return DONE;
    if (this.committer.stopped) return Promise.reject(closedError());
    this.settled = true;
    return this.committer.deliveries.ack(this);
  }

  /** Nacks it under a policy; `fail` is what `'fail'` does. */
  protected settle<D>(policy: NackPolicy<D>, delivery: D, reason: unknown, fail: () => void): Promise<void> {
    if (this.settled) return DONE;
    if (policy === 'skip') return this.ack();
    this.settled = true;
    if (policy === 'fail') {
      fail();
      return DONE;
    }
    return this.#putAside(policy, delivery, reason);
  }

  async #putAside<D>(policy: Exclude<NackPolicy<D>, string>, delivery: D, reason: unknown): Promise<void> {
    await policy(delivery, reason);
    this.settled = false;
    await this.ack();
  }
}

/** What `track()` gives. */
export class Delivery extends HandedOut implements TrackedDelivery {
  readonly #onNack: NackPolicy<NackedDelivery>;

  constructor(place: number | Offset, metadata: Metadata | undefined, onNack: NackPolicy<NackedDelivery>) {
    super(place, metadata);
    this.#onNack = onNack;
  }

  nack(reason?: unknown): Promise<void> {
    return this.settle(this.#onNack, this, reason, () => undefined);
  }
}

export function closedError(): ClosedError {
  return new ClosedError('This OffsetTracker was closed; make a new one');
}
