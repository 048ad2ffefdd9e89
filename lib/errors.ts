/**
 * The errors of this library. Codes are API and stay; messages are prose and may change. Wrong types and
 * ranges of arguments are `TypeError` and `RangeError`, as everywhere in Node; an abort rejects with the
 * signal's reason.
 */

/** Every code that an {@link OffsetError} may carry. */
export type OffsetErrorCode =
  | 'OFFSET_INVALID'
  | 'OFFSET_BEHIND'
  | 'OFFSET_SOURCE_NOT_FOUND'
  | 'OFFSET_IO'
  | 'OFFSET_DURABILITY_UNKNOWN'
  | 'OFFSET_SERIALIZATION'
  | 'OFFSET_CORRUPT'
  | 'OFFSET_LOCK_TIMEOUT'
  | 'OFFSET_FENCED'
  | 'OFFSET_CLOSED'
  | 'OFFSET_NACKED'
  | 'OFFSET_UNACKED'
  | 'OFFSET_UNSUPPORTED';

/** What an error carries beside its message. */
export interface OffsetErrorOptions<Code extends OffsetErrorCode = OffsetErrorCode> {
  /** Needed only where a class has more than one code. */
  readonly code?: Code;
  /** The source that the failed operation was about, where it was about one. */
  readonly source?: string | undefined;
  /** The original error, as the operating system, the driver or the caller's function gave it. */
  readonly cause?: unknown;
}

/**
 * The base of every error that this library makes.
 *
 * @example
 * ```ts
 * try {
 *   await tracker.commit('orders');
 * } catch (error) {
 *   if (error instanceof OffsetError && error.code === 'OFFSET_FENCED') await startOver(error.source);
 *   else throw error;
 * }
 * ```
 */
export class OffsetError extends Error {
  /** What kind of failure it was: the part that programs decide by. */
  readonly code: OffsetErrorCode;
  /** The source that the failed operation was about; absent where it was about none, or about several. */
  declare readonly source?: string;

  /** For stores of your own: each class makes its errors with a message and what goes with it. */
  constructor(message: string, options: OffsetErrorOptions & { readonly code: OffsetErrorCode }) {
    super(message, 'cause' in options ? { cause: options.cause } : undefined);
    this.code = options.code;
    if (options.source !== undefined) this.source = options.source;
  }

  static {
    this.prototype.name = 'OffsetError';
  }
}

/**
 * `OFFSET_INVALID`: a value that is no offset (negative, over 2^64-1, NaN, an invalid Date, text that
 * does not parse). `OFFSET_BEHIND`: an offset that lies before what is recorded or committed; the message
 * names both, and nothing was changed.
 */
export class InvalidOffsetError extends OffsetError {
  declare readonly code: 'OFFSET_INVALID' | 'OFFSET_BEHIND';

  constructor(message: string, options: OffsetErrorOptions<'OFFSET_INVALID' | 'OFFSET_BEHIND'> = {}) {
    super(message, { code: 'OFFSET_INVALID', ...options });
  }

  static {
    this.prototype.name = 'InvalidOffsetError';
  }
}

/** `OFFSET_SOURCE_NOT_FOUND`: nothing is stored for the source, and the reset policy is `'none'`. */
export class SourceNotFoundError extends OffsetError {
  declare readonly code: 'OFFSET_SOURCE_NOT_FOUND';

  constructor(message: string, options: OffsetErrorOptions<'OFFSET_SOURCE_NOT_FOUND'> = {}) {
    super(message, { code: 'OFFSET_SOURCE_NOT_FOUND', ...options });
  }

  static {
    this.prototype.name = 'SourceNotFoundError';
  }
}

/**
 * `OFFSET_IO`: reading or writing failed; what was committed before still stands.
 * `OFFSET_DURABILITY_UNKNOWN`: the write was done, or may have been, but that it would survive a power
 * loss could not be learned (a failed directory fsync, an answer that did not come in time); the next
 * commit settles it.
 */
export class OffsetIoError extends OffsetError {
  declare readonly code: 'OFFSET_IO' | 'OFFSET_DURABILITY_UNKNOWN';

  constructor(message: string, options: OffsetErrorOptions<'OFFSET_IO' | 'OFFSET_DURABILITY_UNKNOWN'> = {}) {
    super(message, { code: 'OFFSET_IO', ...options });
  }

  static {
    this.prototype.name = 'OffsetIoError';
  }
}

/**
 * `OFFSET_SERIALIZATION`: a value (metadata above all) that cannot be written and read back as it is.
 * `OFFSET_CORRUPT`: what the store holds does not verify; its bytes were left as they are.
 */
export class OffsetSerializationError extends OffsetError {
  declare readonly code: 'OFFSET_SERIALIZATION' | 'OFFSET_CORRUPT';

  constructor(message: string, options: OffsetErrorOptions<'OFFSET_SERIALIZATION' | 'OFFSET_CORRUPT'> = {}) {
    super(message, { code: 'OFFSET_SERIALIZATION', ...options });
  }

  static {
    this.prototype.name = 'OffsetSerializationError';
  }
}

/** `OFFSET_LOCK_TIMEOUT`: the lock could not be had in time; the message names it and what is known of its holder. */
export class OffsetLockError extends OffsetError {
  declare readonly code: 'OFFSET_LOCK_TIMEOUT';

  constructor(message: string, options: OffsetErrorOptions<'OFFSET_LOCK_TIMEOUT'> = {}) {
    super(message, { code: 'OFFSET_LOCK_TIMEOUT', ...options });
  }

  static {
    this.prototype.name = 'OffsetLockError';
  }
}

/**
 * `OFFSET_FENCED`: the source's epoch is no longer the one that this process works under: somebody reset,
 * cleared or claimed the source. Stop working on it; `tracker.getOffset(source)` adopts the new epoch.
 */
export class FencedError extends OffsetError {
  declare readonly code: 'OFFSET_FENCED';

  constructor(message: string, options: OffsetErrorOptions<'OFFSET_FENCED'> = {}) {
    super(message, { code: 'OFFSET_FENCED', ...options });
  }

  static {
    this.prototype.name = 'FencedError';
  }
}

/** `OFFSET_CLOSED`: the store or tracker was closed before the call. */
export class ClosedError extends OffsetError {
  declare readonly code: 'OFFSET_CLOSED';

  constructor(message: string, options: OffsetErrorOptions<'OFFSET_CLOSED'> = {}) {
    super(message, { code: 'OFFSET_CLOSED', ...options });
  }

  static {
    this.prototype.name = 'ClosedError';
  }
}

/**
 * `OFFSET_NACKED`: the work for a delivery failed, and no error was given as the reason (one that was given is
 * itself what the stream fails with); what was given is the `cause`. `OFFSET_UNACKED`: deliveries that were neither
 * acked nor nacked in time.
 */
export class DeliveryError extends OffsetError {
  declare readonly code: 'OFFSET_NACKED' | 'OFFSET_UNACKED';

  constructor(message: string, options: OffsetErrorOptions<'OFFSET_NACKED' | 'OFFSET_UNACKED'> = {}) {
    super(message, { code: 'OFFSET_NACKED', ...options });
  }

  static {
    this.prototype.name = 'DeliveryError';
  }
}

/** `OFFSET_UNSUPPORTED`: the store does not have the optional capability that was asked for. */
export class UnsupportedError extends OffsetError {
  declare readonly code: 'OFFSET_UNSUPPORTED';

  constructor(message: string, options: OffsetErrorOptions<'OFFSET_UNSUPPORTED'> = {}) {
    super(message, { code: 'OFFSET_UNSUPPORTED', ...options });
  }

  static {
    this.prototype.name = 'UnsupportedError';
  }
}
