import { randomUUID } from 'node:crypto';
import { performance } from 'node:perf_hooks';
import { setImmediate, setTimeout } from 'node:timers/promises';
import { loadFileSystem, type FileSystem } from './io.js';
import type { LockModule } from './lock.js';

/** How long something is waited for, and how much is taken; see FileOffsetStoreOptions. */
export interface Limits {
  readonly maxFileBytes: number;
  readonly lockTimeoutMs: number;
  readonly lockHoldMs: number;
}

/**
 * A pause of `ms` milliseconds; 0 lets only the callbacks run that are due. With `ref: false` it does not
 * keep the process alive.
 */
export type Sleep = (ms: number, options?: { readonly ref?: boolean }) => Promise<void>;

/** All that reaches the store from outside, in one place. */
export interface Runtime extends Limits {
  readonly fs: FileSystem;
  /** In place of proper-lockfile, which is else loaded before the first commit. */
  readonly lock: LockModule | undefined;
  /** The wall clock, in milliseconds since 1970: for times of commit and names of files, never for waits. */
  readonly now: () => number;
  /** A clock that only goes forward, in milliseconds: for waits. */
  readonly monotonicNow: () => number;
  /** 0 … 1, as `Math.random`: for jitter. */
  readonly random: () => number;
  readonly randomUUID: () => string;
  readonly sleep: Sleep;
}

// From node:timers, not the globals: a test that replaces the global timers does not stop the disk.
const sleep: Sleep = async (ms, { ref = true } = {}) => {
  if (ms <= 0) await setImmediate();
  else await setTimeout(ms, undefined, { ref });
};

/** The parts of the runtime that may come from outside. */
export type RuntimeParts = Partial<Omit<Runtime, keyof Limits>>;

/** The runtime with the real thing for every part that was not given. */
export async function loadRuntime(limits: Limits, parts: RuntimeParts): Promise<Runtime> {
  return {
    ...limits,
    fs: parts.fs ?? (await loadFileSystem()),
    lock: parts.lock,
    now: parts.now ?? Date.now,
    monotonicNow: parts.monotonicNow ?? (() => performance.now()),
    random: parts.random ?? Math.random,
    randomUUID: parts.randomUUID ?? randomUUID,
    sleep: parts.sleep ?? sleep,
  };
}
