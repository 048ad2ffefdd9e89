import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { codeOf, type FileStat, loadFileSystem } from '../../../../lib/stores/file/io.js';
import { Random } from '../../../support/fire-random.js';
import { type SimCalls, SimDisk, type SimFile } from '../../../support/sim-fs.js';

const NAMES = ['a', 'b', 'd', 'd/a', 'd/b', 'd/e', 'a/x'];

type AsyncCalls = {
  [Name in keyof SimCalls]: (...args: Parameters<SimCalls[Name]>) => Promise<ReturnType<SimCalls[Name]>>;
};

/** A call, made on either file system: the paths lie under a root, and descriptors are told by their place in a list. */
type Action = (calls: AsyncCalls, root: string, fds: number[]) => Promise<unknown>;

function kindOf(stat: FileStat): unknown {
  // How many names a directory counts, and how big it is, is each file system's own affair.
  return stat.isFile() ? ['file', stat.nlink, stat.size] : ['directory'];
}

/** An action chosen by chance: a call of one of the kinds that the store makes. */
function chooseAction(random: Random): Action {
  const name = random.pick(NAMES);
  const other = random.pick(NAMES);
  const at = random.below(4);
  const bytes = Buffer.alloc(1 + random.below(4), 97 + random.below(26));
  const position = random.below(4);
  const on = (fds: number[]): number => fds[at % Math.max(fds.length, 1)] ?? 9999;
  const actions: Action[] = [
    async (calls, root, fds) => {
      fds.push(await calls.open(join(root, name), random.pick(['wx', 'wx+']), 0o600));
    },
    async (calls, root, fds) => {
      fds.push(await calls.open(join(root, name), 'r'));
    },
    async (calls, _, fds) => {
      const fd = on(fds);
      if (fds.includes(fd)) fds.splice(fds.indexOf(fd), 1);
      await calls.close(fd);
    },
    async (calls, _, fds) => (await calls.write(on(fds), bytes, 0, bytes.length, position)).bytesWritten,
    async (calls, _, fds) => {
      const buffer = Buffer.alloc(8);
      const { bytesRead } = await calls.read(on(fds), buffer, 0, 8, position);
      return [bytesRead, buffer.toString('latin1')];
    },
    async (calls, _, fds) => await calls.fsync(on(fds)),
    async (calls, _, fds) => kindOf(await calls.fstat(on(fds))),
    async (calls, root) => kindOf(await calls.stat(join(root, name))),
    async (calls, root) => (await calls.readdir(join(root, name))).toSorted(),
    async (calls, root) => (await calls.realpath(join(root, name))).slice(root.length),
    async (calls, root) => await calls.mkdir(join(root, name)),
    async (calls, root) => await calls.rmdir(join(root, name)),
    async (calls, root) => await calls.link(join(root, name), join(root, other)),
    async (calls, root) => await calls.rename(join(root, name), join(root, other)),
    async (calls, root) => await calls.unlink(join(root, name)),
  ];
  const [open] = actions;
  // Without files there is little to see.
  return random.chance(0.2) && open !== undefined ? open : random.pick(actions);
}

async function resultOf(action: Promise<unknown>): Promise<unknown> {
  try {
    return (await action) ?? 'done';
  } catch (error) {
    return codeOf(error) ?? error;
  }
}

function asynchronous(calls: SimCalls): AsyncCalls {
  const made = Object.entries(calls).map(([name, call]) => [
    name,
    async (...args: unknown[]) => (call as (...args: unknown[]) => unknown)(...args),
  ]);
  return Object.fromEntries(made) as AsyncCalls;
}

describe('the simulated file system', () => {
  const linux = process.platform === 'linux' ? it : it.skip;

  linux('answers every call as the real one does', async () => {
    const real = await loadFileSystem();
    for (let seed = 1; seed <= 60; seed++) {
      const root = await mkdtemp(join(tmpdir(), 'sim-fs-'));
      const calls = asynchronous(new SimDisk().callsOf({}));
      await calls.mkdir('/r');
      const [realFds, simFds]: [number[], number[]] = [[], []];
      try {
        for (let step = 0; step < 60; step++) {
          // The same choice twice: an action may draw when it is carried out.
          const action = seed * 1000 + step;
          const realResult = await resultOf(chooseAction(new Random(action))(real, root, realFds));
          const simResult = await resultOf(chooseAction(new Random(action))(calls, '/r', simFds));
          expect([seed, step, simResult]).toEqual([seed, step, realResult]);
        }
      } finally {
        for (const fd of realFds) await real.close(fd);
        await rm(root, { recursive: true });
      }
    }
  });

  it('keeps an unlinked file as long as it is open, and then uses its number again at once', () => {
    const disk = new SimDisk();
    const calls = disk.callsOf({});
    const fd = calls.open('/a', 'wx+');
    calls.write(fd, Buffer.from('kept'), 0, 4, 0);
    const { ino } = calls.stat('/a');
    calls.unlink('/a');
    const buffer = Buffer.alloc(4);
    calls.read(fd, buffer, 0, 4, 0);
    expect(buffer.toString()).toBe('kept');
    calls.close(calls.open('/b', 'wx'));
    expect(calls.stat('/b').ino).not.toBe(ino);
    calls.close(fd);
    calls.close(calls.open('/c', 'wx'));
    expect(calls.stat('/c').ino).toBe(ino);
  });

  /** What stands at /f after each of many power losses. */
  function losses(disk: SimDisk): Set<string> {
    const found = new Set<string>();
    for (let seed = 0; seed < 200; seed++) {
      const inode = disk.losePower(new Random(seed)).find('/f');
      found.add(inode === undefined ? 'nothing' : JSON.stringify((inode as SimFile).data.toString('latin1')));
    }
    return found;
  }

  it('loses at a power loss what was not flushed, and only that', () => {
    const disk = new SimDisk();
    const calls = disk.callsOf({});
    const root = calls.open('/', 'r');
    const fd = calls.open('/f', 'wx+');
    calls.write(fd, Buffer.from('old'), 0, 3, 0);
    expect(losses(disk)).toEqual(
      new Set([
        'nothing',
        '""',
        '"o"',
        '"ol"',
        '"old"',
        ...['\0\0\0', 'o\0\0', 'ol\0'].map((text) => JSON.stringify(text)),
      ]),
    );
    calls.fsync(fd);
    expect(losses(disk)).toEqual(new Set(['nothing', '"old"']));
    calls.fsync(root);
    expect(losses(disk)).toEqual(new Set(['"old"']));

    const next = calls.open('/n', 'wx+');
    calls.write(next, Buffer.from('new'), 0, 3, 0);
    calls.fsync(next);
    calls.rename('/n', '/f');
    expect(losses(disk)).toEqual(new Set(['"old"', '"new"']));
    expect(disk.afterPowerLoss('/f').size).toBe(2);
    calls.fsync(root);
    expect(losses(disk)).toEqual(new Set(['"new"']));
  });

  it('loses a whole directory that was not flushed above', () => {
    const disk = new SimDisk();
    const calls = disk.callsOf({});
    calls.mkdir('/d');
    calls.close(calls.open('/d/f', 'wx'));
    calls.fsync(calls.open('/d', 'r'));
    expect([...disk.afterPowerLoss('/d/f')]).toContain(undefined);
    calls.fsync(calls.open('/', 'r'));
    expect([...disk.afterPowerLoss('/d/f')]).toEqual([disk.find('/d/f')]);
  });
});
