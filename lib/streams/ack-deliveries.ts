import { Writable } from 'node:stream';
import { DONE } from '../tracker/deliveries.js';
import { argumentTypeError } from '../validate.js';
import type { Delivery, DeliveryOwner } from './delivery.js';

/** A delivery as it is written here: one of ours knows its stream. */
type Written = Partial<Delivery<unknown>> & { readonly owner?: Pick<DeliveryOwner<never>, 'finish'> };

/**
 * The last stage of a pipeline that began with {@link withAcks}: acks every delivery written to it, and before
 * `'finish'` commits what is acked (with `manual`, not).
 *
 * @throws the stream is destroyed with a TypeError for what is no delivery, and with the error of a failed commit
 * @example
 * ```ts
 * await pipeline(orders, withAcks(tracker, 'orders'), handleEach, ackDeliveries());
 * ```
 */
export function ackDeliveries(options?: { readonly highWaterMark?: number | undefined }): Writable {
  const owners = new Set<Pick<DeliveryOwner<never>, 'finish'>>();
  let last: Written['owner'];
  return new Writable({
    objectMode: true,
    highWaterMark: options?.highWaterMark,
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
      Promise.all(Array.from(owners, (owner) => owner.finish())).then(
        () => callback(),
        (error: unknown) => callback(error as Error),
      );
    },
  });
}
