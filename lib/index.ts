export type { RetryOptions } from './backoff.js';
export type { Checkpoint } from './checkpoint.js';
export { CommitStrategy, type PeriodicOptions } from './commit-strategy.js';
export {
  ClosedError,
  DeliveryError,
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
export { type FileLine, readLines, type ReadLinesOptions } from './sources/lines.js';
export { FileOffsetStore, type FileOffsetStoreOptions, type VerifyReport } from './stores/file/file-store.js';
export type { LostPart, RecoverReport } from './stores/file/salvage.js';
export { InMemoryOffsetStore } from './stores/memory.js';
export { ackDeliveries, type AckDeliveriesOptions } from './streams/ack-deliveries.js';
export { commitOffsets, type OffsetWritable } from './streams/commit-offsets.js';
export type { Delivery } from './streams/delivery.js';
export { iterateWithOffsets, type IterateOptions } from './streams/iterate.js';
export type { CommitEvent, OffsetStreamOptions } from './streams/stream-options.js';
export { transactionalSink, type TransactionalSinkOptions } from './streams/transactional-sink.js';
export { type AckOptions, type AckTransform, type SettledOptions, withAcks } from './streams/with-acks.js';
export { type OffsetTransform, withOffsets } from './streams/with-offsets.js';
export type {
  BehindMessage,
  CommitErrorMessage,
  CommitMessage,
  FencedMessage,
  StuckMessage,
} from './tracker/channels.js';
export type { Clock } from './tracker/clock.js';
export type { NackedDelivery, NackPolicy, TrackedDelivery } from './tracker/delivery.js';
export {
  type CloseOptions,
  type Lag,
  OffsetTracker,
  type OffsetTrackerOptions,
  type RecordOptions,
  type StuckReport,
  type TrackerStats,
  type WhenCommittedOptions,
} from './tracker/offset-tracker.js';
export type { TransactionalOffsetStore } from './transactional-store.js';
