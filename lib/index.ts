export type { Checkpoint } from './checkpoint.js';
export { CommitStrategy, type PeriodicOptions } from './commit-strategy.js';
export {
  ClosedError,
  FencedError,
  InvalidOffsetError,
  OffsetError,
  type OffsetErrorCode,
  type OffsetErrorOptions,
  OffsetIoError,
  OffsetLockError,
  OffsetSerializationError,
  SourceNotFoundError,
  UnsupportedError,
} from './errors.js';
export type { Metadata, MetadataValue } from './metadata.js';
export {
  type CustomOffset,
  type EarliestOffset,
  type LatestOffset,
  Offset,
  type OffsetInput,
  type SequenceOffset,
  type TimestampOffset,
} from './offset.js';
export type { CommitEntry, CommitOptions, OffsetStore } from './offset-store.js';
export type { OffsetResetPolicy } from './reset-policy.js';
export { InMemoryOffsetStore } from './stores/memory.js';
