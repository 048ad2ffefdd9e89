import { Writable } from 'node:stream';
import { DONE } from '../tracker/deliveries.js';
import { argumentTypeError, assertInteger, assertOptions, MAX_TIMER_MS } from '../validate.js';
import type { Delivery, DeliveryOwner } from './delivery.js';

/** The options of {@link ackDeliveries}. */
export interface AckDeliveriesOptions {
  /** How many deliveries the stream buffers, an integer >= 0. Default: Node's, 16. */
  readonly highWaterMark?: number | undefined;
  /**
   * How long the end waits for deliveries that did not come here to be acked or nacked, in milliseconds, 1 … 2^31-1.
   * Default: 60,000.
   */
  readonly ackTimeoutMs?: number | undefined;
}

type Owner = Pick<DeliveryOwner<never>, 'whenSettled'>;

/** A delivery as it is written here: one of ours knows its stream. */
type Written = Partial<Delivery<unknown>> & { readonly owner?: Owner };

/**
 * The last stage of a pipeline that began with {@link withAcks}: acks every delivery written to it, and finishes
 * once all deliveries of that stream are settled, those that did not come here too, and what is acked is committed
 * (with `manual`, not).
 *
 * @throws TypeError or RangeError for wrong options. The stream is destroyed with a TypeError for what is no delivery,
 *   with the error of a failed commit or of a nack, and with DeliveryError `OFFSET_UNACKED` when deliveries were
 *   dropped on the way without an ack
 * @example
 * ```ts
 * await pipeline(orders, withAcks(tracker, 'orders'), handleEach, ackDeliveries());
 * ```
 */
export function ackDeliveries(options?: AckDeliveriesOptions): Writable {
  assertOptions('options', options);
  const { highWaterMark, ackTimeoutMs = 60_000 } = options ?? {};
  if (highWaterMark !== undefined) assertInteger('highWaterMark', highWaterMark, 0);
  assertInteger('ackTimeoutMs', ackTimeoutMs, 1, MAX_TIMER_MS);
  const owners = new Set<Owner>();
  let last: Owner | undefined;
  return new Writable({
    objectMode: true,
    highWaterMark,
    write(delivery: Written | null, _encoding, callback) {
      if (typeof delivery?.ack !== 'function') {
        callback(argumentTypeError('deliveries of withAcks()', delivery));
        return;
      }
      if (delivery.owner !== last) {
        last = delivery.owner;
        if (last !== undefined) owners.add(last);
      }
      const acked = delivery.ack();
      if (acked === DONE) callback();
      else Promise.resolve(acked).then(() => callback(), callback);
    },
    final(callback) {
      Promise.all(Array.from(owners, (owner) => owner.whenSettled({ timeoutMs: ackTimeoutMs }))).then(
        () => callback(),
        (error: unknown) => callback(error as Error),
      );
    },
  });
}
