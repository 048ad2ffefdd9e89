/**
 * What a run before left of a file: the offset to go on after, and the fingerprint of the file it is of. What
 * can be said of both without the file, and without what reading one takes.
 */
import { InvalidOffsetError } from '../errors.js';
import type { Metadata } from '../metadata.js';
import type { Offset } from '../offset.js';
import { received } from '../validate.js';

/** How much of a file's beginning a fingerprint is made of, in bytes. */
export const FINGERPRINT_BYTES = 1024;

const SHA256_HEX = /^[0-9a-f]{64}$/;

/** The two properties that go into the metadata of every line. */
export interface Fingerprint {
  /** SHA-256 of the first `fingerprintBytes` bytes of the file, in lowercase hex. */
  readonly fingerprint: string;
  /** 0 … 1024: fewer than 1024 where the file had no more at that time. */
  readonly fingerprintBytes: number;
}

/**
 * The fingerprint in a checkpoint's metadata; undefined where there is none (other metadata, or a caller who
 * keeps none).
 *
 * @throws InvalidOffsetError `OFFSET_INVALID` where both properties are there and no run made them: to pass
 *   over the check then would be the silent restart that the fingerprint is kept against
 */
export function fingerprintIn(metadata: Metadata | undefined): Fingerprint | undefined {
  const { fingerprint, fingerprintBytes } = metadata ?? {};
  if (fingerprint === undefined || fingerprintBytes === undefined) return undefined;
  if (
    typeof fingerprint !== 'string' ||
    !SHA256_HEX.test(fingerprint) ||
    typeof fingerprintBytes !== 'number' ||
    !Number.isInteger(fingerprintBytes) ||
    fingerprintBytes < 0 ||
    fingerprintBytes > FINGERPRINT_BYTES
  ) {
    throw new InvalidOffsetError(
      `Expected the checkpoint's metadata to hold the \`fingerprint\` (64 lowercase hex digits) and ` +
        `\`fingerprintBytes\` (0 to ${FINGERPRINT_BYTES}) that came with a line, got ${received(fingerprint)} and ` +
        `${received(fingerprintBytes)}; keep other values under other names`,
    );
  }
  return { fingerprint, fingerprintBytes };
}

/** The refusal of an offset of another kind. */
export function notASequenceError(offset: Offset): InvalidOffsetError {
  return new InvalidOffsetError(
    `Expected \`after\` to be a sequence (the byte just past a line), earliest or latest, got an offset of kind ` +
      `${received(offset.kind)}: pass the offset that came with a line of this file`,
  );
}
