/** What a process of a fire test is told to do, as JSON in its first argument. */

/** The places of a round in which a process can be made to stand still. */
export type Place =
  'token made' | 'swept' | 'before write' | 'before rename' | 'after rename' | 'after directory flush';

interface Common {
  /** Of the offsets file. */
  readonly path: string;
  /** `'none'`: everybody has the lock, always. Default: the real one. */
  readonly lock?: 'real' | 'none';
}

/** Commits, one after the other, and reports every commit that was acknowledged. */
export interface CommitJob extends Common {
  readonly kind: 'commit';
  readonly name: string;
  /** The file that the reports are added to. */
  readonly report: string;
  /** How many sources of its own it commits at once. Default: 1. */
  readonly own?: number;
  /** Whether it also moves on a source that all do. Default: false. */
  readonly shared?: boolean;
  /** After so many commits of each source it ends by itself. Default: never. */
  readonly commits?: number;
  /** Between two commits. Default: 0. */
  readonly pauseMs?: number;
  /** Suppresses a flush: the store must then lose commits, or a test of power loss proves nothing. */
  readonly sabotage?: 'no file flush' | 'no directory flush';
  readonly ambush?: {
    readonly place: Place;
    /** `'stop'`: SIGSTOP to itself. A number: blocks the event loop for so many milliseconds. */
    readonly how: 'stop' | number;
  };
}

/** Does one thing when told to go, and says how it went. */
export interface OperationJob extends Common {
  readonly kind: 'operation';
  readonly operation: Operation;
  /** Whether it then commits once more, and says how that went. */
  readonly next: boolean;
}

export type Operation = 'create' | 'update' | 'reset' | 'recover' | 'upgrade';

export type Job = CommitJob | OperationJob;

/** How a call ended. */
export interface Ending {
  readonly ok: boolean;
  readonly name?: string | undefined;
  readonly code?: string | undefined;
  readonly message?: string | undefined;
  /** The code of the error's cause. */
  readonly cause?: string | undefined;
}

/** What a process with an {@link OperationJob} prints at its end. */
export interface Endings {
  readonly operation: Ending;
  readonly next: Ending | undefined;
}

/** The source that an operation is about, and the one that the commit after it is about. */
export const SOURCE = 'orders';
export const NEXT_SOURCE = 'next';
export const SHARED_SOURCE = 'shared';

/** What an operation sets the source to. */
export const NEW_VALUE = 100n;

/** The sources of their own that the processes of this name commit. */
export function ownSources(name: string, own: number): string[] {
  return Array.from({ length: own }, (_, index) => `${name}.${index}`);
}
