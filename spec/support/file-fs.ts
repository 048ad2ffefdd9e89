import { basename } from 'node:path';
import { type FileSystem, loadFileSystem } from '../../lib/stores/file/io.js';
import type { LockModule } from '../../lib/stores/file/lock.js';

/** A call that was made: its name, and the last part of the path that it was about. */
export interface RecordedCall {
  readonly call: keyof FileSystem;
  readonly path: string;
}

export interface Recorder {
  readonly fs: FileSystem;
  readonly calls: RecordedCall[];
  /**
   * Called before each call; what it throws is the call's error. What it returns, other than undefined, is
   * the call's result, in place of the real one.
   */
  before: (call: RecordedCall, args: readonly unknown[]) => unknown;
}

/** The real file system, with every call written down, and open to be made to fail. */
export async function recordingFileSystem(parts: Partial<FileSystem> = {}): Promise<Recorder> {
  const real = { ...(await loadFileSystem()), ...parts };
  const names = new Map<number, string>();
  const recorder: Recorder = {
    calls: [],
    before: () => undefined,
    fs: { ...real },
  };
  for (const [name, method] of Object.entries(real)) {
    if (typeof method !== 'function') continue;
    const call = name as keyof FileSystem;
    const wrapped = async (...args: unknown[]): Promise<unknown> => {
      const [target] = args;
      const path = typeof target === 'number' ? (names.get(target) ?? '?') : basename(String(target));
      const recorded = { call, path };
      recorder.calls.push(recorded);
      const instead = await recorder.before(recorded, args);
      if (instead !== undefined) return instead;
      const result: unknown = await (method as (...args: unknown[]) => Promise<unknown>)(...args);
      if (call === 'open') names.set(result as number, path);
      return result;
    };
    Object.assign(recorder.fs, { [name]: wrapped });
  }
  return recorder;
}

/** An error as the operating system gives it. */
export function systemError(code: string): Error {
  return Object.assign(new Error(`${code}: injected`), { code });
}

/** A lock that everybody has, always. */
export const noLock: LockModule = { lock: async () => async () => {} };
