/**
 * What a commit, reset, claim or clear does to what is kept for one source: the rules of the OffsetStore
 * contract as pure functions. Some stores decide by them in this process; databases decide in theirs, by the same
 * rules, and of what they refuse these find the words.
 */
import type { Checkpoint } from '../checkpoint.js';
import { FencedError } from '../errors.js';
import { copyMetadata, metadataEquals, type Metadata } from '../metadata.js';
import { behindError, Offset, type OffsetInput } from '../offset.js';
import type { CommitEntry, CommitOptions } from '../offset-store.js';
import { argumentTypeError, assertInteger, assertOptions, assertSource, quote } from '../validate.js';

/** A source that has no offset but an epoch: it was cleared, or claimed before anything was committed. */
export interface Tombstone {
  readonly epoch: number;
  readonly offset?: undefined;
}

/** What is kept for a source. */
export type SourceState = Checkpoint | Tombstone;

/** A commit whose arguments were checked and copied. */
export interface CheckedCommit {
  readonly offset: Offset;
  readonly epoch: number | undefined;
  readonly metadata: Metadata | undefined;
  readonly allowRegression: boolean;
}

/** One source's part of a commit. */
export interface SourceCommit {
  readonly source: string;
  readonly commit: CheckedCommit;
}

const systemNow = (): Date => new Date();

/** Checks and copies the arguments of a commit. */
export function checkCommit(offset: OffsetInput, options: CommitOptions | undefined): CheckedCommit {
  assertOptions('options', options);
  const { epoch, metadata, allowRegression = false } = options ?? {};
  if (epoch !== undefined) assertInteger('epoch', epoch, 0);
  if (typeof allowRegression !== 'boolean') {
    throw argumentTypeError('`allowRegression` to be a boolean', allowRegression);
  }
  return {
    offset: Offset.from(offset),
    epoch,
    metadata: metadata === undefined ? undefined : copyMetadata(metadata),
    allowRegression,
  };
}

/** Checks and copies the entries of a commit of many, and reads each of their properties once. */
export function checkEntries(entries: Iterable<CommitEntry>): SourceCommit[] {
  return [...entries].map((entry) => {
    const { source, offset } = entry;
    assertSource(source);
    return { source, commit: checkCommit(offset, entry) };
  });
}

/**
 * What is kept after the commit; `current` itself when the commit changes nothing.
 *
 * @throws FencedError when the epochs differ; InvalidOffsetError `OFFSET_BEHIND` when the offset lies before
 */
export function applyCommit(
  source: string,
  current: SourceState | undefined,
  commit: CheckedCommit,
  now: () => Date = systemNow,
): Checkpoint {
  const epoch = current?.epoch ?? 0;
  if (commit.epoch !== undefined && commit.epoch !== epoch) {
    throw new FencedError(
      `Commit of ${quote(Offset.format(commit.offset))} for source ${quote(source)} was made under epoch ` +
        `${commit.epoch}, and the source is at epoch ${epoch}: it was reset, cleared or claimed by another`,
      { source },
    );
  }
  if (current?.offset !== undefined) {
    const order = Offset.compare(commit.offset, current.offset);
    if (order === 0 && (commit.metadata === undefined || metadataEquals(commit.metadata, current.metadata))) {
      return current;
    }
    if (order !== undefined && order < 0 && !commit.allowRegression) {
      throw behindError(source, commit.offset, current.offset, 'committed');
    }
  }
  return {
    offset: commit.offset,
    epoch,
    ...(commit.metadata === undefined ? undefined : { metadata: commit.metadata }),
    committedAt: now(),
  };
}

/** What is kept after a reset to the (checked, copied) offset. */
export function applyReset(
  current: SourceState | undefined,
  offset: Offset,
  now: () => Date = systemNow,
): Checkpoint {
  return { offset, epoch: raised(current), committedAt: now() };
}

/** What is kept after a claim. */
export function applyClaim(current: SourceState | undefined): SourceState {
  return { ...current, epoch: raised(current) };
}

/**
 * What is kept after a clear. The epoch rises even where there was no offset: the first commit of somebody
 * who began before the clear may still be on its way.
 */
export function applyClear(current: SourceState | undefined): Tombstone {
  return { epoch: raised(current) };
}

function raised(current: SourceState | undefined): number {
  return (current?.epoch ?? 0) + 1;
}

/** The caller's own copy of what is kept; undefined for a tombstone. */
export function copyOut(state: SourceState | undefined): Checkpoint | undefined {
  if (state?.offset === undefined) return undefined;
  return {
    offset: Offset.from(state.offset),
    epoch: state.epoch,
    ...(state.metadata === undefined ? undefined : { metadata: copyMetadata(state.metadata) }),
    committedAt: new Date(state.committedAt),
  };
}
