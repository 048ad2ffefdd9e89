import type { Checkpoint } from '../checkpoint.js';
import { Offset } from '../offset.js';
import type { OffsetStore } from '../offset-store.js';

/** What a store says of a source when a tracker first touches it. */
export interface Learned {
  readonly offset: Offset | undefined;
  /** Where the store has `inspect`; undefined when nothing is stored. */
  readonly checkpoint: Checkpoint | undefined;
  /** The epoch to commit under; undefined where the store keeps none. */
  readonly epoch: number | undefined;
}

/**
 * Reads a source's offset and the epoch to work under, and with `claim` takes the source over first. The epoch
 * is never newer than the offset: whoever resets the source in between fences us, and is not missed.
 */
export async function learn(store: OffsetStore, source: string, claim: boolean): Promise<Learned> {
  const claimed = claim ? await store.claim!(source) : undefined;
  if (store.inspect === undefined) {
    const epoch = claimed ?? (await store.epoch?.(source));
    const offset = await store.get(source);
    return { offset: offset === undefined ? undefined : Offset.from(offset), checkpoint: undefined, epoch };
  }
  const first = await store.inspect(source);
  if (first !== undefined) return known(first, claimed);
  // Nothing is stored, but a source that was cleared has an epoch.
  const epoch = claimed ?? (await store.epoch?.(source)) ?? 0;
  const second = await store.inspect(source);
  return second === undefined ? { offset: undefined, checkpoint: undefined, epoch } : known(second, claimed);
}

function known(checkpoint: Checkpoint, claimed: number | undefined): Learned {
  return { offset: Offset.from(checkpoint.offset), checkpoint, epoch: claimed ?? checkpoint.epoch };
}
