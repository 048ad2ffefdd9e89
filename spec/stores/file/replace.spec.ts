import { mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { Offset } from '../../../lib/offset.js';
import type { FileSystem } from '../../../lib/stores/file/io.js';
import { ancestorsOf } from '../../../lib/stores/file/location.js';
import {
  noLock,
  type RecordedCall,
  type Recorder,
  recordingFileSystem,
  systemError,
} from '../../support/file-fs.js';
import { Workshop } from '../../support/file-workshop.js';

const workshop = new Workshop();

/** The calls of one commit, tokens by the name `token`. */
function steps(calls: readonly RecordedCall[]): string[] {
  return calls.map(({ call, path }) => `${call} ${path.endsWith('.token') ? 'token' : path}`);
}

async function storeWith(recorder: Recorder, parts: object = {}) {
  return workshop.store(await workshop.path(), { fs: recorder.fs, lock: noLock, ...parts });
}

describe('a commit', () => {
  it('goes through the protocol in its order: token, sweep, read, write, rename, flush', async () => {
    const recorder = await recordingFileSystem();
    const store = await storeWith(recorder);
    const directory = (await workshop.directory()).split('/').at(-1);
    await store.commit('a', 1);
    const first = steps(recorder.calls);
    const begin = first.indexOf('open token');
    // What goes before reads the file and makes the directories.
    expect(
      first.slice(0, begin).filter((step) => !/^(?:realpath|lstat|stat|open|fstat|read|close) /.test(step)),
    ).toEqual([`mkdir ${directory}`, 'mkdir offsets.json.tmp', 'chmod offsets.json.tmp']);
    const ancestors = ancestorsOf(store.path).flatMap((path) => {
      const name = path.split('/').at(-1) as string;
      return [`open ${name}`, `fsync ${name}`, `close ${name}`];
    });
    expect(first.slice(begin)).toEqual([
      'open token',
      'fstat token',
      'readdir offsets.json.tmp',
      'open offsets.json',
      ...ancestors,
      'write token',
      'read token',
      'fsync token',
      `open ${directory}`,
      'rename token',
      `fsync ${directory}`,
    ]);

    recorder.calls.length = 0;
    await store.commit('a', 2);
    expect(steps(recorder.calls)).toEqual([
      'open token',
      'fstat token',
      'readdir offsets.json.tmp',
      'stat offsets.json',
      'read token',
      'write token',
      'read token',
      'fsync token',
      'rename token',
      `fsync ${directory}`,
      'close token',
    ]);
  });

  it('resolves only after the directory was flushed', async () => {
    const recorder = await recordingFileSystem();
    const store = await storeWith(recorder);
    await store.commit('a', 1);
    let flushed = false;
    let committed = false;
    recorder.before = async ({ call, path }) => {
      if (call !== 'fsync' || path.endsWith('.token')) return;
      await new Promise((resolve) => {
        setTimeout(resolve, 20);
      });
      expect(committed).toBe(false);
      flushed = true;
    };
    await store.commit('a', 2);
    committed = true;
    expect(flushed).toBe(true);
  });

  it('sweeps the tokens of the dead, and nothing else', async () => {
    const store = workshop.store(await workshop.path());
    await store.commit('a', 1);
    const tokens = `${store.path}.tmp`;
    await writeFile(join(tokens, '00000000-0000-4000-8000-000000000000.token'), 'left by a crash');
    await writeFile(join(tokens, '00000000-0000-4000-8000-000000000000.token.bak'), 'not a token');
    await writeFile(join(tokens, 'mine.token'), 'not a token');
    await writeFile(join(tokens, 'x00000000-0000-4000-8000-000000000000.token'), 'not a token');
    await writeFile(`${store.path}.00000000-0000-4000-8000-000000000000.token`, 'not there');
    await store.commit('a', 2);
    expect((await readdir(tokens)).toSorted()).toEqual([
      '00000000-0000-4000-8000-000000000000.token.bak',
      'mine.token',
      'x00000000-0000-4000-8000-000000000000.token',
    ]);
    await store.close();
    expect((await readdir(await workshop.directory())).toSorted()).toEqual([
      'offsets.json',
      'offsets.json.00000000-0000-4000-8000-000000000000.token',
      'offsets.json.tmp',
    ]);
  });

  it('lists only the directory of the tokens, whatever lies beside the file', async () => {
    const recorder = await recordingFileSystem();
    const store = await storeWith(recorder);
    await store.commit('a', 1);
    await store.commit('a', 2);
    expect(new Set(steps(recorder.calls).filter((step) => step.startsWith('readdir')))).toEqual(
      new Set(['readdir offsets.json.tmp']),
    );
  });

  it('that lost its token reads what the winner wrote, and loses nothing', async () => {
    const path = await workshop.path();
    const recorder = await recordingFileSystem();
    const loser = workshop.store(path, { fs: recorder.fs, lock: noLock });
    const winner = workshop.store(path, { lock: noLock });
    await loser.commit('a', 1);
    let rounds = 0;
    recorder.before = async ({ call }) => {
      if (call !== 'rename' || rounds >= 3) return;
      rounds += 1;
      // Just before the rename: it sweeps our token, reads, and renames its own.
      await winner.commit('b', rounds);
    };
    await loser.commit('a', 2);
    expect(rounds).toBe(3);
    expect(await winner.getAll()).toEqual(
      new Map([
        ['a', Offset.sequence(2)],
        ['b', Offset.sequence(3)],
      ]),
    );
  });

  it('is refused on what is durable, though another wrote that between its sweep and its read', async () => {
    const path = await workshop.path();
    const recorder = await recordingFileSystem();
    const store = workshop.store(path, { fs: recorder.fs, lock: noLock });
    const other = workshop.store(path, { lock: noLock });
    await store.commit('a', 1);
    recorder.before = async ({ call }) => {
      if (call !== 'stat') return;
      recorder.before = () => undefined;
      await other.commit('a', 9);
    };
    await expect(store.commit('a', 2)).rejects.toMatchObject({ code: 'OFFSET_BEHIND' });
    expect(await store.get('a')).toEqual(Offset.sequence(9));
  });

  it('goes on where the directory of the tokens is taken away', async () => {
    const store = workshop.store(await workshop.path(), { lock: noLock });
    await store.commit('a', 1);
    await rm(`${store.path}.tmp`, { recursive: true });
    await store.commit('a', 2);
    const recorder = await recordingFileSystem();
    const other = await storeWith(recorder);
    recorder.before = async ({ call }) => {
      if (call !== 'rename') return;
      recorder.before = () => undefined;
      await rm(`${store.path}.tmp`, { recursive: true });
    };
    await other.commit('b', 1);
    expect((await store.getAll()).size).toBe(2);
  });

  it.each(['chmod', 'readdir'] as const)(
    'goes on where another that closes takes the directory of the tokens away just before its %s',
    async (call) => {
      const recorder = await recordingFileSystem();
      let taken = 0;
      recorder.before = async (recorded) => {
        if (recorded.call !== call || !recorded.path.endsWith('.tmp') || taken > 0) return;
        taken++;
        await rm(`${await workshop.path()}.tmp`, { recursive: true });
      };
      const store = await storeWith(recorder);
      await store.commit('a', 1);
      expect(taken).toBe(1);
      expect(await store.get('a')).toEqual(Offset.sequence(1));
    },
  );

  it('flushes the directory before it acknowledges what another wrote, and writes nothing', async () => {
    const path = await workshop.path();
    const writer = await recordingFileSystem();
    const other = workshop.store(path, { fs: writer.fs, lock: noLock });
    await other.commit('a', 0);
    const recorder = await recordingFileSystem();
    const store = workshop.store(path, { fs: recorder.fs, lock: noLock });
    await other.commit('a', 1);
    await store.commit('a', 1);
    expect(steps(recorder.calls)).not.toContain('rename token');
    expect(recorder.calls.at(-3)).toMatchObject({ call: 'fsync' });
    recorder.calls.length = 0;
    await store.commit('a', 1);
    expect(recorder.calls.some(({ call }) => call === 'fsync')).toBe(false);
  });

  it('flushes nothing where it is refused, or where there is no file', async () => {
    const recorder = await recordingFileSystem();
    const store = await storeWith(recorder);
    await store.clearAll();
    const other = workshop.store(store.path, { lock: noLock });
    await other.commit('a', 5);
    await expect(store.commit('a', 1)).rejects.toMatchObject({ code: 'OFFSET_BEHIND' });
    expect(recorder.calls.filter(({ call }) => call === 'fsync')).toEqual([]);
  });

  it('goes on where another sweeps the same token first', async () => {
    const recorder = await recordingFileSystem();
    const store = await storeWith(recorder);
    await store.commit('a', 1);
    await writeFile(`${store.path}.tmp/00000000-0000-4000-8000-000000000000.token`, '');
    recorder.before = ({ call }) => {
      if (call === 'unlink') throw systemError('ENOENT');
    };
    recorder.calls.length = 0;
    await store.commit('a', 2);
    expect(steps(recorder.calls).filter((step) => /unlink|rename/.test(step))).toEqual([
      'unlink token',
      'rename token',
    ]);
  });

  it('of the first store to replace the file of the crate keeps it, and another that comes later does not', async () => {
    const recorder = await recordingFileSystem();
    const store = await storeWith(recorder);
    await writeFile(store.path, '{"a":{"Sequence":1}}');
    recorder.before = async ({ call }) => {
      if (call !== 'link') return;
      recorder.before = () => undefined;
      await workshop.store(store.path, { lock: noLock }).commit('b', 1);
    };
    await store.commit('a', 2);
    expect((await store.getAll()).size).toBe(2);
    const kept = (await readdir(dirname(store.path))).filter((name) => name.includes('.crate-'));
    expect(kept).toHaveLength(1);
    expect(await readFile(join(dirname(store.path), kept[0]!), 'utf8')).toBe('{"a":{"Sequence":1}}');
  });

  it.each([
    ['uid', 4321n],
    ['gid', 1234n],
  ] as const)('gives the file its %s', async (id, value) => {
    const recorder = await recordingFileSystem();
    const store = await storeWith(recorder);
    await store.commit('a', 1);
    const real = await stat(store.path, { bigint: true });
    const given: unknown[] = [];
    recorder.before = ({ call }, args) => {
      if (call === 'stat')
        return Object.assign(Object.create(Object.getPrototypeOf(real)), real, { [id]: value });
      if (call === 'fchown') given.push(args.slice(1));
      // Only root may do it; it is not needed for the commit.
      if (call === 'fchown') throw systemError('EPERM');
      return undefined;
    };
    await store.commit('a', 2);
    const own = { uid: real.uid, gid: real.gid, [id]: value };
    expect(given).toEqual([[Number(own.uid), Number(own.gid)]]);
  });

  it('lets all who may write in the directory sweep its tokens', async () => {
    const directory = await workshop.directory();
    const modes: [number, number][] = [
      [0o750, 0o750],
      [0o777, 0o777],
      [0o2770, 0o2770],
      [0o1777, 0o700],
    ];
    for (const [mode, expected] of modes) {
      const inside = join(directory, mode.toString(8));
      await mkdir(inside);
      await (await import('node:fs/promises')).chmod(inside, mode);
      const store = workshop.store(join(inside, 'offsets.json'));
      await store.commit('a', 1);
      expect((await stat(`${store.path}.tmp`)).mode & 0o7777).toBe(expected);
    }
  });
});

describe('a fault', () => {
  const codes = ['EIO', 'ENOSPC', 'EROFS', 'EACCES', 'EDQUOT', 'EMFILE'];
  const calls: (keyof FileSystem)[] = [
    'open',
    'fstat',
    'readdir',
    'stat',
    'read',
    'write',
    'fsync',
    'rename',
  ];

  it.each(codes.flatMap((code) => calls.map((call) => [code, call] as const)))(
    '%s at any %s: typed error, old bytes intact, the next commit works',
    async (code, call) => {
      const recorder = await recordingFileSystem();
      const store = await storeWith(recorder);
      const reader = workshop.store(store.path);
      await store.commit('a', 1, { metadata: { text: 'x'.repeat(100) } });
      let failed = 0;
      for (let nth = 1; ; nth++) {
        const before = await readFile(store.path);
        let seen = 0;
        let at: RecordedCall | undefined;
        recorder.before = (recorded) => {
          if (recorded.call !== call || ++seen !== nth) return;
          at = recorded;
          throw systemError(code);
        };
        const n = BigInt(nth) + 1n;
        const error: unknown = await store.commit('a', n).then(
          () => undefined,
          (reason: unknown) => reason,
        );
        recorder.before = () => undefined;
        if (at === undefined) {
          expect(error).toBeUndefined();
          break;
        }
        failed += 1;
        const onDirectory = at.call === 'fsync' && !at.path.endsWith('.token');
        expect(error).toMatchObject({
          name: 'OffsetIoError',
          code: onDirectory ? 'OFFSET_DURABILITY_UNKNOWN' : 'OFFSET_IO',
          cause: { code },
        });
        if (!onDirectory) expect((await readFile(store.path)).equals(before)).toBe(true);
        expect(await readdir(`${store.path}.tmp`)).toEqual([]);
        await store.commit('a', n);
        expect(await reader.get('a')).toEqual(Offset.sequence(n));
      }
      expect(failed).toBeGreaterThan(0);
    },
  );

  it.each(
    codes.flatMap((code) =>
      (['open', 'mkdir', 'write', 'fsync', 'rename'] as const).map((call) => [code, call] as const),
    ),
  )('%s at any %s of the first commit: typed error, no file, the next one works', async (code, call) => {
    for (let nth = 1; nth < 30; nth++) {
      const recorder = await recordingFileSystem();
      const path = join(await workshop.directory(), `${nth}`, 'deeper', 'offsets.json');
      const store = workshop.store(path, { fs: recorder.fs, lock: noLock });
      let seen = 0;
      let at: RecordedCall | undefined;
      recorder.before = (recorded) => {
        if (recorded.call !== call || ++seen !== nth) return;
        at = recorded;
        throw systemError(code);
      };
      const error: unknown = await store.commit('a', 1).then(
        () => undefined,
        (reason: unknown) => reason,
      );
      recorder.before = () => undefined;
      // What lies above the directory may be closed to us, or of a kind that cannot be flushed.
      if (error !== undefined) {
        expect(error).toMatchObject({ name: 'OffsetIoError', cause: { code } });
        await store.commit('a', 1);
      }
      expect(await workshop.store(path).get('a')).toEqual(Offset.sequence(1));
      if (at === undefined) return;
    }
  });

  it('of a write that takes less than it is given is made good', async () => {
    const recorder = await recordingFileSystem();
    const store = await storeWith(recorder);
    const write = recorder.fs.write.bind(recorder.fs);
    Object.assign(recorder.fs, {
      write: (fd: number, buffer: Uint8Array, offset: number, length: number, position: number) =>
        write(fd, buffer, offset, Math.min(length, 7), position),
    });
    await store.commit('a', 1);
    expect(await store.get('a')).toEqual(Offset.sequence(1));
    expect(recorder.calls.filter(({ call }) => call === 'write').length).toBeGreaterThan(40);
  });

  it.each([
    [
      'writes nothing',
      () => ({ bytesWritten: 0 }),
      /^Could not write ".*token": "wrote 0 of \d+ bytes, and then nothing more"$/,
    ],
    [
      'says that it wrote more than it did',
      (length: number) => ({ bytesWritten: length }),
      /^Wrote \d+ bytes to ".*token", and read other bytes back \(0\)\. The file was not replaced; is the disk full\?$/,
    ],
  ])('of a disk that %s is seen before the rename', async (_name, lie, message) => {
    const recorder = await recordingFileSystem();
    const store = await storeWith(recorder);
    await store.commit('a', 1);
    const before = await readFile(store.path);
    recorder.before = ({ call }, args) => (call === 'write' ? lie(args[3] as number) : undefined);
    await expect(store.commit('a', 2)).rejects.toMatchObject({
      code: 'OFFSET_IO',
      message: expect.stringMatching(message),
    });
    expect((await readFile(store.path)).equals(before)).toBe(true);
    recorder.before = () => undefined;
    await store.commit('a', 2);
  });

  it('of the flush is not tried again on the same file', async () => {
    const recorder = await recordingFileSystem();
    const store = await storeWith(recorder);
    await store.commit('a', 1);
    recorder.calls.length = 0;
    let fail = true;
    recorder.before = ({ call, path }) => {
      if (call !== 'fsync' || !path.endsWith('.token') || !fail) return;
      fail = false;
      throw systemError('EIO');
    };
    await expect(store.commit('a', 2)).rejects.toMatchObject({ code: 'OFFSET_IO' });
    await store.commit('a', 2);
    const flushed = recorder.calls.filter(({ call, path }) => call === 'fsync' && path.endsWith('.token'));
    expect(new Set(flushed.map(({ path }) => path)).size).toBe(2);
  });

  it("of the directory's flush: the next commit writes in full, through a new descriptor", async () => {
    const recorder = await recordingFileSystem();
    const store = await storeWith(recorder);
    await store.commit('a', 1);
    recorder.before = ({ call, path }) => {
      if (call === 'fsync' && !path.endsWith('.token')) throw systemError('EIO');
    };
    await expect(store.commit('a', 2)).rejects.toMatchObject({
      name: 'OffsetIoError',
      code: 'OFFSET_DURABILITY_UNKNOWN',
      cause: { code: 'EIO' },
    });
    // The same again is no no-op.
    await expect(store.commit('a', 2)).rejects.toMatchObject({ code: 'OFFSET_DURABILITY_UNKNOWN' });
    recorder.before = () => undefined;
    recorder.calls.length = 0;
    await store.commit('a', 2);
    const directory = (await workshop.directory()).split('/').at(-1);
    expect(steps(recorder.calls)).toEqual(
      expect.arrayContaining(['write token', 'rename token', `open ${directory}`]),
    );
    recorder.calls.length = 0;
    await store.commit('a', 2);
    expect(steps(recorder.calls)).not.toContain('write token');
  });

  it('that a rename reports after it was done makes no loser of the winner', async () => {
    for (const code of ['EIO', 'ENOENT']) {
      const { fs } = await recordingFileSystem();
      let renamed = 0;
      const store = workshop.store(await workshop.path(), {
        lock: noLock,
        fs: {
          ...fs,
          rename: async (from, to) => {
            renamed++;
            await fs.rename(from, to);
            throw systemError(code);
          },
        },
      });
      await store.commit(code, 1);
      expect(await store.get(code)).toEqual(Offset.sequence(1));
      expect(renamed).toBe(1);
    }
  });

  it('of a file that is mounted by itself says what to do', async () => {
    const recorder = await recordingFileSystem();
    recorder.before = ({ call }) => {
      if (call === 'rename') throw systemError('EBUSY');
    };
    await expect((await storeWith(recorder)).commit('a', 1)).rejects.toThrow(/mount the directory/);
  });

  it('of the sweep ends the attempt: a token that stays could still be renamed', async () => {
    const recorder = await recordingFileSystem();
    const store = await storeWith(recorder);
    await store.commit('a', 1);
    await writeFile(`${store.path}.tmp/00000000-0000-4000-8000-000000000000.token`, '');
    recorder.before = ({ call }) => {
      if (call === 'unlink') throw systemError('EACCES');
    };
    await expect(store.commit('a', 2)).rejects.toMatchObject({ code: 'OFFSET_IO' });
    expect(await store.get('a')).toEqual(Offset.sequence(1));
  });
});

describe('on Windows', () => {
  it.each(['EPERM', 'EACCES', 'EBUSY'])(
    'a rename that a scanner refuses with %s is tried ten times, and nothing is removed first',
    async (code) => {
      const recorder = await recordingFileSystem({ windows: true });
      const pauses: number[] = [];
      const store = await storeWith(recorder, {
        sleep: async (ms: number, { ref = true } = {}) => {
          // Shorter ones leave the lock to others.
          if (ref && ms >= 10) pauses.push(ms);
        },
      });
      await store.commit('a', 1);
      recorder.calls.length = 0;
      let refusals = 9;
      recorder.before = ({ call }) => {
        if (call === 'rename' && refusals-- > 0) throw systemError(code);
      };
      await store.commit('a', 2);
      expect(pauses).toEqual([10, 20, 30, 40, 50, 60, 70, 80, 90]);
      const made = steps(recorder.calls);
      expect(made.filter((step) => step === 'rename token')).toHaveLength(10);
      expect(made.indexOf('close token')).toBeLessThan(made.indexOf('rename token'));
      expect(made).not.toContain('unlink offsets.json');
      recorder.calls.length = 0;
      refusals = 10;
      await expect(store.commit('a', 3)).rejects.toMatchObject({ code: 'OFFSET_IO', cause: { code } });
      const failed = steps(recorder.calls);
      expect(failed.filter((step) => step === 'rename token')).toHaveLength(10);
      expect(failed.filter((step) => step === 'close token')).toHaveLength(1);
    },
  );

  it('a rename that fails for another reason is not tried again', async () => {
    const recorder = await recordingFileSystem({ windows: true });
    const store = await storeWith(recorder);
    recorder.before = ({ call }) => {
      if (call === 'rename') throw systemError('EIO');
    };
    await expect(store.commit('a', 1)).rejects.toMatchObject({ code: 'OFFSET_IO', cause: { code: 'EIO' } });
    expect(recorder.calls.filter(({ call }) => call === 'rename')).toHaveLength(1);
  });

  it('the directory is not flushed, and the file not held open', async () => {
    const recorder = await recordingFileSystem({ windows: true });
    const store = await storeWith(recorder);
    await store.commit('a', 1);
    await store.commit('a', 2);
    expect(recorder.calls.filter(({ call, path }) => call === 'fsync' && !path.endsWith('.token'))).toEqual(
      [],
    );
    const opened = recorder.calls.filter(({ call }) => call === 'open').length;
    const notOpened = 2; // The file, before and in the first commit: it was not there.
    expect(recorder.calls.filter(({ call }) => call === 'close')).toHaveLength(opened - notOpened);
  });
});

describe('a directory with much in it', () => {
  it('costs a commit no more calls', async () => {
    const recorder = await recordingFileSystem();
    const store = await storeWith(recorder);
    for (let n = 0; n < 300; n++) await writeFile(join(dirname(store.path), `foreign-${n}`), '');
    await store.commit('a', 1);
    recorder.calls.length = 0;
    await store.commit('a', 2);
    expect(recorder.calls).toHaveLength(11);
  });
});
