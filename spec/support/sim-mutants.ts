/**
 * The commit protocol with one of its parts wrong. The store's own code runs; what is wrong is made at the
 * file system, by doing its calls in another order, or not at all. Each of these must be found out.
 */
import { posix } from 'node:path';
import { codeOf } from '../../lib/stores/file/io.js';
import type { SimCalls, SimDisk } from './sim-fs.js';
import type { SimProcess } from './sim-world.js';

export type Mutation = (calls: SimCalls, process: SimProcess, disk: SimDisk, path: string) => SimCalls;

const isToken = (path: string): boolean => path.endsWith('.token');

/** Nobody removes the tokens of others. */
const noSweep: Mutation = (calls) => {
  const own = new Set<string>();
  return {
    ...calls,
    open(path, flags, mode) {
      if (isToken(path)) own.add(path);
      return calls.open(path, flags, mode);
    },
    unlink(path) {
      if (!isToken(path) || own.has(path)) calls.unlink(path);
    },
  };
};

/** The file is read when the token has been made, and the sweep comes after that. */
const readBeforeSweep: Mutation = (calls, process, disk, file) => {
  let snapshot: { readonly fd: number | undefined } | undefined;
  const missing = (): Error => Object.assign(new Error('ENOENT: it was not there'), { code: 'ENOENT' });
  const forget = (): void => {
    if (snapshot?.fd !== undefined) calls.close(snapshot.fd);
    snapshot = undefined;
  };
  return {
    ...calls,
    open(path, flags, mode) {
      if (path === file && snapshot !== undefined) {
        if (snapshot.fd === undefined) throw missing();
        return disk.duplicate(process, snapshot.fd);
      }
      const fd = calls.open(path, flags, mode);
      if (isToken(path)) {
        try {
          snapshot = { fd: calls.open(file, 'r') };
        } catch (error) {
          if (codeOf(error) !== 'ENOENT') throw error;
          snapshot = { fd: undefined };
        }
      }
      return fd;
    },
    stat(path) {
      if (path !== file || snapshot === undefined) return calls.stat(path);
      if (snapshot.fd === undefined) throw missing();
      return calls.fstat(snapshot.fd);
    },
    rename(from, to) {
      forget();
      calls.rename(from, to);
    },
    unlink(path) {
      forget();
      calls.unlink(path);
    },
  };
};

/** The token appears among the others only when they have been swept, just before the file is read. */
const sweepBeforeToken: Mutation = (calls, process, _disk, file) => {
  const hidden = posix.join('/', `hidden-${process.id}`);
  let token: string | undefined;
  const show = (): void => {
    if (token !== undefined) calls.rename(hidden, token);
    token = undefined;
  };
  return {
    ...calls,
    open(path, flags, mode) {
      if (isToken(path)) {
        calls.stat(posix.dirname(path));
        token = path;
        return calls.open(hidden, flags, mode);
      }
      if (path === file) show();
      return calls.open(path, flags, mode);
    },
    stat(path) {
      if (path === file) show();
      return calls.stat(path);
    },
  };
};

/** The rename is acknowledged without the directory having been flushed. */
const noDirectoryFlush: Mutation = (calls, process, disk) => ({
  ...calls,
  fsync(fd) {
    if (disk.inodeOf(process, fd)?.kind !== 'directory') calls.fsync(fd);
  },
});

/** The file takes its place without its bytes having been flushed. */
const noFileFlush: Mutation = (calls, process, disk) => ({
  ...calls,
  fsync(fd) {
    if (disk.inodeOf(process, fd)?.kind !== 'file') calls.fsync(fd);
  },
});

/** Those that let one process undo what another did. */
export const ORDER_MUTANTS: Readonly<Record<string, Mutation>> = {
  'sweep before token': sweepBeforeToken,
  'read before sweep': readBeforeSweep,
  'no sweep': noSweep,
};

/** Those that only a power loss shows. */
export const FLUSH_MUTANTS: Readonly<Record<string, Mutation>> = {
  'no flush of the directory': noDirectoryFlush,
  'no flush of the file': noFileFlush,
};
