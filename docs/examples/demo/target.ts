import type { TransactionalOffsetStore } from 'streamweave-offset';
import type { OutputLine } from './work.js';

/** A database that holds the results beside the offsets, so that both change in one transaction. */
export interface ExactlyOnceTarget<Tx = unknown> {
  readonly store: TransactionalOffsetStore<Tx>;
  /** Makes the table `flights_done`, and takes out of it what an earlier run of the source left. */
  start(source: string): Promise<void>;
  /** Writes the results, in order, within the transaction. Nothing there keeps a result from being written twice. */
  write(source: string, results: readonly OutputLine[], tx: Tx): void | Promise<void>;
  /** What is written of the source, in the order it was. */
  read(source: string): Promise<OutputLine[]>;
  close(): Promise<void>;
}
