/** What a file began with, as a checkpoint's metadata: how a file is known again at the next run. */
import { createHash } from 'node:crypto';
import { InvalidOffsetError } from '../errors.js';
import type { Metadata } from '../metadata.js';
import { received } from '../validate.js';

/** How much of a file's beginning is taken, in bytes. */
export const FINGERPRINT_BYTES = 1024;

const SHA256_HEX = /^[0-9a-f]{64}$/;

/** The two properties that go into the metadata of every line. */
export interface Fingerprint {
  /** SHA-256 of the first `fingerprintBytes` bytes of the file, in lowercase hex. */
  readonly fingerprint: string;
  /** 0 … 1024: fewer than 1024 where the file had no more at that time. */
  readonly fingerprintBytes: number;
}

/** The fingerprint of a file that begins with `head`. */
export function fingerprintOf(head: Buffer): Fingerprint {
  const taken = head.subarray(0, FINGERPRINT_BYTES);
  return {
    fingerprint: createHash('sha256').update(taken).digest('hex'),
    fingerprintBytes: taken.length,
  };
}

/**
 * Whether a file that begins with `head` still begins with what the fingerprint was made of. What was
 * appended since makes no difference, to a file that was shorter than 1024 bytes either.
 */
export function stillBeginsWith(head: Buffer, known: Fingerprint): boolean {
  return fingerprintOf(head.subarray(0, known.fingerprintBytes)).fingerprint === known.fingerprint;
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
