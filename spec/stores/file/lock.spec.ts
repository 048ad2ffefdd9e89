import { mkdir, readdir, readFile, rmdir, stat, utimes, writeFile } from 'node:fs/promises';
import { describe, expect, it } from '@jest/globals';
import lockfile from 'proper-lockfile';
import { Offset } from '../../../lib/offset.js';
import type { LockModule, LockOptions } from '../../../lib/stores/file/lock.js';
import { noLock, recordingFileSystem, systemError } from '../../support/file-fs.js';
import { Workshop } from '../../support/file-workshop.js';

const workshop = new Workshop();

/** proper-lockfile, with a note of what was asked of it. */
function recordingLock() {
  const asked: LockOptions[] = [];
  let released = 0;
  const lock: LockModule = {
    lock: async (file, options) => {
      asked.push(options);
      const release = await lockfile.lock(file, options);
      return async () => {
        released += 1;
        await release();
      };
    },
  };
  return { lock, asked, released: () => released };
}

describe('the lock', () => {
  it('is asked for with a short staleness, no retries, a resolved path and a handler', async () => {
    const { lock, asked } = recordingLock();
    const store = workshop.store(await workshop.path(), { lock });
    await store.commit('a', 1);
    expect(asked[0]).toEqual({
      realpath: false,
      stale: 2000,
      update: 1000,
      retries: 0,
      onCompromised: expect.any(Function),
    });
    expect(() => asked[0]?.onCompromised(new Error('compromised'))).not.toThrow();
  });

  it('is kept over commits that follow each other, and given back soon after the last', async () => {
    const { lock, asked, released } = recordingLock();
    const store = workshop.store(await workshop.path(), { lock, lockHoldMs: 1000 });
    for (let n = 0; n < 20; n++) await store.commit('a', n);
    expect(asked.length).toBeLessThan(20);
    while (released() < asked.length) {
      await new Promise((resolve) => {
        setTimeout(resolve, 1);
      });
    }
    expect(await readdir(await workshop.directory())).not.toContain('offsets.json.lock');
  });

  it('is taken anew for each round where it may not be held', async () => {
    const { lock, asked } = recordingLock();
    const store = workshop.store(await workshop.path(), { lock, lockHoldMs: 0 });
    for (let n = 0; n < 5; n++) await store.commit('a', n);
    expect(asked).toHaveLength(5);
  });

  it('that is held too long by another is a typed error; nothing is deleted or changed', async () => {
    const path = await workshop.path();
    const store = workshop.store(path, { lockTimeoutMs: 60 });
    await store.commit('a', 1);
    await store.close();
    const release = await lockfile.lock(path, { realpath: false });
    const late = workshop.store(path, { lockTimeoutMs: 60 });
    await expect(late.commit('a', 2)).rejects.toMatchObject({
      name: 'OffsetLockError',
      code: 'OFFSET_LOCK_TIMEOUT',
      message: expect.stringMatching(/60 ms.*offsets\.json\.lock.*last refreshed/),
    });
    // Reading does not wait.
    expect(await late.get('a')).toEqual(Offset.sequence(1));
    await release();
    await late.commit('a', 2);
  });

  it('is waited for, and each call waits as long as it may', async () => {
    const path = await workshop.path();
    let locked = true;
    let clock = 0;
    const store = workshop.store(path, {
      lockTimeoutMs: 100,
      monotonicNow: () => clock,
      lock: {
        lock: async () => {
          if (locked) throw systemError('ELOCKED');
          return async () => {};
        },
      },
    });
    const first = store.commit('a', 1);
    const refused = expect(first).rejects.toMatchObject({ code: 'OFFSET_LOCK_TIMEOUT' });
    await store.get('a');
    clock = 50;
    const second = store.commit('b', 1);
    await store.get('a');
    clock = 100;
    await refused;
    locked = false;
    await second;
    expect([...(await store.getAll()).keys()]).toEqual(['b']);
  });

  it('with a time in the future is named, and not deleted', async () => {
    const path = await workshop.path();
    await mkdir(`${path}.lock`);
    const future = Date.now() / 1000 + 3600;
    await utimes(`${path}.lock`, future, future);
    await expect(workshop.store(path, { lockTimeoutMs: 30 }).commit('a', 1)).rejects.toMatchObject({
      code: 'OFFSET_LOCK_TIMEOUT',
      message: expect.stringContaining('in the future'),
    });
    expect((await stat(`${path}.lock`)).isDirectory()).toBe(true);
  });

  it.each([
    ['in the past', 1500, 'It was last refreshed 1500 ms ago'],
    ['a little ahead of the clock', -500, 'It was last refreshed 0 ms ago'],
    [
      'in the future',
      -2000,
      'It was last refreshed at 2026-01-01T00:00:02.000Z, which is in the future: the clock was set back, and ' +
        'until it has caught up nobody can tell whether the holder is alive. If it is not, remove the lock',
    ],
  ])('whose time lies %s is described with its age', async (_name, age, words) => {
    const path = await workshop.path();
    const now = Date.parse('2026-01-01T00:00:00.000Z');
    await mkdir(`${path}.lock`);
    await utimes(`${path}.lock`, (now - age) / 1000, (now - age) / 1000);
    const lock = { lock: async () => await Promise.reject(systemError('ELOCKED')) };
    const store = workshop.store(path, { lock, lockTimeoutMs: 1, now: () => now });
    await expect(store.commit('a', 1)).rejects.toThrow(`The lock is "${path}.lock". ${words}`);
  });

  it.each([
    ['ENOENT', 'It has been free since, for a moment at least'],
    ['EACCES', 'Nothing is known of its holder (EACCES)'],
  ])('that cannot be looked at (%s) is described by that', async (code, words) => {
    const recorder = await recordingFileSystem();
    recorder.before = ({ call, path }) => {
      if (call === 'lstat' && path.endsWith('.lock')) throw systemError(code);
    };
    const lock = { lock: async () => await Promise.reject(systemError('ELOCKED')) };
    const store = workshop.store(await workshop.path(), { lock, lockTimeoutMs: 1, fs: recorder.fs });
    await expect(store.commit('a', 1)).rejects.toThrow(words);
  });

  it.each(['EEXIST', 'ENOTEMPTY'])('that is not empty (%s) is named with its cause', async (code) => {
    const lock = { lock: async () => await Promise.reject(systemError(code)) };
    await expect(workshop.store(await workshop.path(), { lock }).commit('a', 1)).rejects.toMatchObject({
      name: 'OffsetLockError',
      message: expect.stringMatching(new RegExp(`: ${code}\\. It was left behind and is not empty`)),
      cause: { code },
    });
  });

  it('that is stale is taken over', async () => {
    const path = await workshop.path();
    await mkdir(`${path}.lock`);
    const past = Date.now() / 1000 - 60;
    await utimes(`${path}.lock`, past, past);
    await workshop.store(path, { lockTimeoutMs: 1000 }).commit('a', 1);
  });

  it.each(['fresh', 'stale'])('that is a file is left alone (%s)', async (age) => {
    const path = await workshop.path();
    await writeFile(`${path}.lock`, 'mine');
    const time = Date.now() / 1000 - (age === 'stale' ? 60 : 0);
    await utimes(`${path}.lock`, time, time);
    await expect(workshop.store(path, { lockTimeoutMs: 30 }).commit('a', 1)).rejects.toMatchObject({
      name: 'OffsetLockError',
      message: expect.stringContaining('not a directory'),
    });
    expect(await readFile(`${path}.lock`, 'utf8')).toBe('mine');
  });

  it('that is a directory with something in it is left alone', async () => {
    const path = await workshop.path();
    await mkdir(`${path}.lock/inside`, { recursive: true });
    await utimes(`${path}.lock`, 1, 1);
    await expect(workshop.store(path, { lockTimeoutMs: 30 }).commit('a', 1)).rejects.toMatchObject({
      name: 'OffsetLockError',
      message: expect.stringContaining('not empty'),
    });
    expect(await readdir(`${path}.lock`)).toEqual(['inside']);
  });

  it.each(['EACCES', 'EROFS', 'ENOSPC', 'EMFILE'])(
    'that cannot be made (%s) is an I/O error',
    async (code) => {
      const lock = { lock: async () => await Promise.reject(systemError(code)) };
      await expect(workshop.store(await workshop.path(), { lock }).commit('a', 1)).rejects.toMatchObject({
        name: 'OffsetIoError',
        code: 'OFFSET_IO',
        cause: { code },
      });
    },
  );

  it.each(['EPERM', 'EACCES', 'EBUSY'])('is waited for on Windows after %s', async (code) => {
    const { fs } = await recordingFileSystem({ windows: true });
    let refusals = 3;
    const lock = {
      lock: async () => {
        if (refusals-- > 0) throw systemError(code);
        return async () => {};
      },
    };
    await workshop.store(await workshop.path(), { lock, fs }).commit('a', 1);
    expect(refusals).toBe(-1);
  });

  it('may fail to be given back', async () => {
    const lock = { lock: async () => async () => await Promise.reject(systemError('ERELEASED')) };
    const store = workshop.store(await workshop.path(), { lock, lockHoldMs: 0 });
    await store.commit('a', 1);
    await store.commit('a', 2);
    await store.close();
  });

  it('may be removed by another while it is held', async () => {
    const { lock } = recordingLock();
    const path = await workshop.path();
    const recorder = await recordingFileSystem();
    recorder.before = async ({ call }) => {
      if (call === 'write') await rmdir(`${path}.lock`);
    };
    const store = workshop.store(path, { lock, fs: recorder.fs, lockHoldMs: 0 });
    await store.commit('a', 1);
    await store.commit('a', 2);
    expect(await store.get('a')).toEqual(Offset.sequence(2));
  });

  it('that turns out to be lost before the rename begins the attempt anew, under a new lock', async () => {
    const locks: LockOptions[] = [];
    const lock: LockModule = {
      lock: async (_file, options) => {
        locks.push(options);
        return async () => {};
      },
    };
    const recorder = await recordingFileSystem();
    recorder.before = ({ call }) => {
      if (call === 'write' && locks.length === 1) locks[0]?.onCompromised(new Error('stolen'));
    };
    const store = workshop.store(await workshop.path(), { lock, fs: recorder.fs });
    await store.commit('a', 1);
    expect(locks).toHaveLength(2);
    expect(recorder.calls.filter(({ call }) => call === 'rename')).toHaveLength(1);
  });

  it('is not needed: two stores that both have it lose nothing', async () => {
    const path = await workshop.path();
    const stores = [0, 1, 2].map(() => workshop.store(path, { lock: noLock }));
    await Promise.all(
      stores.map(async (store, index) => {
        for (let n = 1; n <= 40; n++) await store.commit(`source-${index}`, n);
      }),
    );
    const offsets = await stores[0]?.getAll();
    expect(offsets?.size).toBe(3);
    for (const offset of offsets?.values() ?? []) expect(offset).toEqual(Offset.sequence(40));
  });
});
