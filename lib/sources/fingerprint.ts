/** What a file began with, as a checkpoint's metadata: how a file is known again at the next run. */
import { createHash } from 'node:crypto';
import { type Fingerprint, FINGERPRINT_BYTES } from './resume-point.js';

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
