import type { Metadata } from './metadata.js';
import type { Offset } from './offset.js';

/** What a store keeps for a source. */
export interface Checkpoint {
  /** The offset of the last item whose work is done. */
  readonly offset: Offset;
  /** 0 at first; one more at every reset, clear and claim of the source; it never goes down. */
  readonly epoch: number;
  /** What the caller kept beside the offset. */
  readonly metadata?: Metadata;
  /** When this offset was committed, by the clock of the process (or the server) that did it. */
  readonly committedAt: Date;
}
