import { execFile } from 'node:child_process';
import {
  chmod,
  link,
  lstat,
  mkdir,
  readdir,
  readFile,
  readlink,
  rename,
  rm,
  stat,
  symlink,
  unlink,
  utimes,
  writeFile,
} from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { describe, expect, it } from '@jest/globals';
import { Offset } from '../../../lib/offset.js';
import { FileOffsetStore } from '../../../lib/stores/file/file-store.js';
import { noLock, recordingFileSystem, systemError } from '../../support/file-fs.js';
import { Workshop } from '../../support/file-workshop.js';

const workshop = new Workshop();
const corrupt = expect.objectContaining({ name: 'OffsetSerializationError', code: 'OFFSET_CORRUPT' });

async function flip(path: string, at: number): Promise<Buffer> {
  const bytes = await readFile(path);
  bytes.writeUInt8(bytes.readUInt8(at) ^ 1, at);
  await writeFile(path, bytes);
  return bytes;
}

describe('new FileOffsetStore()', () => {
  it.each([
    [undefined, TypeError],
    [42, TypeError],
    [new URL('https://example.com/offsets.json'), TypeError],
    ['', RangeError],
    ['a\0b', RangeError],
    ['\ud800', RangeError],
  ])('refuses %p as a path', (path, error) => {
    expect(() => new FileOffsetStore(path as string)).toThrow(error);
  });

  it.each<[unknown, ErrorConstructor]>([
    [null, TypeError],
    [[], TypeError],
    [{ maxFileBytes: '1' }, TypeError],
    [{ maxFileBytes: 1023 }, RangeError],
    [{ maxFileBytes: 2 ** 28 + 1 }, RangeError],
    [{ lockTimeoutMs: 0 }, RangeError],
    [{ lockTimeoutMs: 2 ** 31 }, RangeError],
    [{ lockHoldMs: -1 }, RangeError],
    [{ lockHoldMs: 1001 }, RangeError],
    [{ fs: 1 }, TypeError],
    [{ lock: () => {} }, TypeError],
    [{ now: 1 }, TypeError],
    [{ monotonicNow: {} }, TypeError],
    [{ random: 1 }, TypeError],
    [{ randomUUID: 'x' }, TypeError],
    [{ sleep: 1 }, TypeError],
  ])('refuses %p as options', (options, error) => {
    expect(() => new FileOffsetStore('x', options as never)).toThrow(error);
  });

  it('does no I/O', async () => {
    const { fs, calls } = await recordingFileSystem();
    const store = new FileOffsetStore('/nowhere/offsets.json', { fs });
    await store.close();
    expect(calls).toEqual([]);
  });

  it('takes a relative path from the directory of now, and a file: URL', async () => {
    const path = await workshop.path();
    expect(workshop.store(relative(process.cwd(), path)).path).toBe(path);
    expect(workshop.store(pathToFileURL(path)).path).toBe(path);
  });

  it('loads neither the file system nor the lock before they are needed', async () => {
    const script = `
      const { FileOffsetStore } = await import('./lib/stores/file/file-store.ts');
      const { readFileSync } = await import('node:fs');
      const loaded = () => process.listenerCount('SIGTERM') > 0;
      const seen = [loaded()];
      const store = new FileOffsetStore(process.argv[1]);
      await store.get('a');
      seen.push(loaded());
      await store.commit('a', { kind: 'earliest' });
      seen.push(loaded());
      await store.close();
      console.log(JSON.stringify(seen));
    `;
    const { stdout } = await promisify(execFile)(process.execPath, [
      '--import',
      'tsx',
      '--input-type=module',
      '--eval',
      script,
      await workshop.path(),
    ]);
    expect(JSON.parse(stdout)).toEqual([false, false, true]);
  });
});

describe('the file', () => {
  it('is made at the first commit, with the directories above it, and holds what was committed', async () => {
    const path = join(await workshop.directory(), 'a', 'b', 'offsets.json');
    const store = workshop.store(path);
    expect(await store.get('orders')).toBeUndefined();
    expect(await readdir(await workshop.directory())).toEqual([]);
    await store.commit('orders', 42, { metadata: { host: 'a', at: new Date(5), big: 2n ** 70n } });
    await store.close();

    const again = workshop.store(path);
    expect(await again.get('orders')).toEqual(Offset.sequence(42));
    expect(await again.inspect('orders')).toMatchObject({
      epoch: 0,
      metadata: { host: 'a', at: new Date(5), big: 2n ** 70n },
    });
    // Nothing is left beside it.
    expect(await readdir(dirname(path))).toEqual(['offsets.json']);
  });

  it('is seen by every store of it as it is now', async () => {
    const path = await workshop.path();
    const [a, b] = [workshop.store(path), workshop.store(path, { lockHoldMs: 0 })];
    for (let n = 0; n < 5; n++) {
      await a.commit('orders', n);
      expect(await b.get('orders')).toEqual(Offset.sequence(n));
      await b.commit('other', n);
      expect(await a.getAll()).toEqual(
        new Map([
          ['orders', Offset.sequence(n)],
          ['other', Offset.sequence(n)],
        ]),
      );
    }
    await expect(b.commit('orders', 3)).rejects.toMatchObject({ code: 'OFFSET_BEHIND' });
  });

  it('is not written by a commit that changes nothing', async () => {
    const store = workshop.store(await workshop.path());
    await store.commit('orders', 1);
    const before = await stat(store.path, { bigint: true });
    await store.commit('orders', 1);
    await expect(store.commit('orders', 0)).rejects.toMatchObject({ code: 'OFFSET_BEHIND' });
    await expect(store.commit('orders', 5, { epoch: 3 })).rejects.toMatchObject({ code: 'OFFSET_FENCED' });
    await store.commitMany([]);
    const after = await stat(store.path, { bigint: true });
    expect([after.ino, after.mtimeNs]).toEqual([before.ino, before.mtimeNs]);
  });

  it('is not made by clearing what was never there', async () => {
    const store = workshop.store(await workshop.path());
    await store.clearAll();
    await store.close();
    expect(await readdir(await workshop.directory())).toEqual([]);
  });

  it('takes all entries of a commitMany in one write, or none', async () => {
    const { fs, calls } = await recordingFileSystem();
    const store = workshop.store(await workshop.path(), { fs });
    await store.commitMany([
      { source: 'a', offset: Offset.sequence(1n) },
      { source: 'b', offset: Offset.sequence(2n) },
    ]);
    expect(calls.filter(({ call }) => call === 'rename')).toHaveLength(1);
    await expect(
      store.commitMany([
        { source: 'a', offset: Offset.sequence(5n) },
        { source: 'b', offset: Offset.sequence(1n) },
      ]),
    ).rejects.toMatchObject({ code: 'OFFSET_BEHIND', source: 'b' });
    expect(await store.get('a')).toEqual(Offset.sequence(1n));
    // None also where others in the same round have all.
    const [refused, accepted] = await Promise.allSettled([
      store.commitMany([
        { source: 'a', offset: Offset.sequence(5n) },
        { source: 'b', offset: Offset.sequence(1n) },
      ]),
      store.commit('c', 1),
    ]);
    expect([refused.status, accepted.status]).toEqual(['rejected', 'fulfilled']);
    expect(await store.get('a')).toEqual(Offset.sequence(1n));
  });

  it('keeps the epochs of cleared and claimed sources, which no listing shows', async () => {
    const store = workshop.store(await workshop.path());
    await store.commit('a', 1);
    await store.clear('a');
    expect(await store.claim('b')).toBe(1);
    await store.close();
    const again = workshop.store(store.path);
    expect(await again.getAll()).toEqual(new Map());
    expect(await again.inspectAll()).toEqual(new Map());
    expect([await again.epoch('a'), await again.epoch('b'), await again.epoch('c')]).toEqual([1, 1, 0]);
    expect(await again.reset('a', 7)).toBe(2);
    expect(await again.claim('a')).toBe(3);
    expect(await again.get('a')).toEqual(Offset.sequence(7));
    await again.clearAll();
    expect([await again.epoch('a'), await again.epoch('b')]).toEqual([4, 2]);
  });

  it('is private at first, and keeps the mode that it is given', async () => {
    const store = workshop.store(await workshop.path());
    await store.commit('a', 1);
    expect((await stat(store.path)).mode & 0o777).toBe(0o600);
    await chmod(store.path, 0o640);
    await store.commit('a', 2);
    expect((await stat(store.path)).mode & 0o777).toBe(0o640);
  });

  it('keeps its owner, where that is allowed', async () => {
    const { fs } = await recordingFileSystem();
    const chowned: unknown[] = [];
    const store = workshop.store(await workshop.path(), {
      fs: {
        ...fs,
        stat: async (path) => Object.assign(await fs.stat(path), { uid: 12n, gid: 34n }),
        fchown: async (_fd, ...owner) => {
          chowned.push(owner);
          throw systemError('EPERM');
        },
      },
    });
    await store.commit('a', 1);
    await store.commit('a', 2);
    expect(chowned).toEqual([[12, 34]]);
    expect(await store.get('a')).toEqual(Offset.sequence(2));
  });

  it.each(['relative', 'absolute', 'chain', 'dangling'])(
    'is the target of a symbolic link (%s)',
    async (kind) => {
      const directory = await workshop.directory();
      await mkdir(join(directory, 'real'));
      const target = join(directory, 'real', 'target.json');
      const link = join(directory, 'link.json');
      if (kind !== 'dangling') await workshop.store(target).commit('old', 1);
      if (kind === 'chain') {
        await symlink(target, join(directory, 'real', 'hop'));
        await symlink('real/hop', link);
      } else {
        await symlink(kind === 'absolute' ? target : 'real/target.json', link);
      }
      const store = workshop.store(link);
      await store.commit('a', 1);
      expect((await lstat(link)).isSymbolicLink()).toBe(true);
      expect(await readlink(link)).toBe(
        kind === 'chain' ? 'real/hop' : kind === 'absolute' ? target : 'real/target.json',
      );
      expect((await lstat(target)).isFile()).toBe(true);
      expect(await workshop.store(target).get('a')).toEqual(Offset.sequence(1));
      expect(await store.get('old')).toEqual(kind === 'dangling' ? undefined : Offset.sequence(1));
    },
  );

  it('is not found through links that go in a circle', async () => {
    const path = await workshop.path();
    await symlink(path, `${path}.2`);
    await symlink(`${path}.2`, path);
    await expect(workshop.store(path).get('a')).rejects.toMatchObject({ code: 'OFFSET_IO' });
    await expect(workshop.store(path).commit('a', 1)).rejects.toMatchObject({ code: 'OFFSET_IO' });
  });
});

describe('reading', () => {
  it('takes no lock and makes nothing', async () => {
    const path = await workshop.path();
    await workshop.store(path).commit('a', 1);
    const { fs, calls } = await recordingFileSystem();
    const reader = workshop.store(path, {
      fs,
      lock: { lock: async () => await Promise.reject(new Error('A reader took the lock')) },
    });
    expect(await reader.get('a')).toEqual(Offset.sequence(1));
    expect(await reader.get('b')).toBeUndefined();
    await reader.getAll();
    await reader.inspectAll();
    await reader.epoch('a');
    await reader.verify();
    await reader.recover();
    await reader.close();
    expect(new Set(calls.map(({ call }) => call))).toEqual(
      new Set(['realpath', 'open', 'fstat', 'read', 'close']),
    );
    const writers = calls.filter(({ call }) => call === 'open');
    expect(writers.every(({ path }) => path === 'offsets.json')).toBe(true);
  });

  it('works where nothing can be written; a commit there says so', async () => {
    const path = await workshop.path();
    const first = workshop.store(path);
    await first.commit('a', 1);
    await first.close();
    // Also for root, for whom no directory is read-only.
    const recorder = await recordingFileSystem();
    recorder.before = ({ call }, args) => {
      const writes =
        ['write', 'mkdir', 'rmdir', 'rename', 'link', 'unlink', 'chmod', 'fchmod', 'fsync'].includes(call) ||
        (call === 'open' && typeof args[1] === 'string' && args[1] !== 'r');
      if (writes) throw systemError('EROFS');
      return undefined;
    };
    const store = workshop.store(path, { fs: recorder.fs });
    expect(await store.get('a')).toEqual(Offset.sequence(1));
    await expect(store.commit('a', 2)).rejects.toMatchObject({
      name: 'OffsetIoError',
      code: 'OFFSET_IO',
      message: expect.stringContaining('read-only'),
      cause: expect.objectContaining({ code: 'EROFS' }),
    });
    expect(await store.get('a')).toEqual(Offset.sequence(1));
    expect(await readdir(dirname(path))).toEqual(['offsets.json']);
  });

  it('does not trust time stamps and sizes', async () => {
    const path = await workshop.path();
    const store = workshop.store(path);
    await store.commit('a', 1);
    expect(await store.get('a')).toEqual(Offset.sequence(1));
    const { atime, mtime } = await stat(path);
    const bytes = await flip(path, 300);
    await utimes(path, atime, mtime);
    await expect(store.get('a')).rejects.toEqual(corrupt);
    await expect(store.commit('a', 2)).rejects.toEqual(corrupt);
    expect((await readFile(path)).equals(bytes)).toBe(true);
  });
});

describe('a file that is no file of ours', () => {
  it.each([
    ['text', 'not offsets at all\n'],
    ['JSON of something else', '{"name":"something","version":"1.0.0"}'],
    ['an empty object', '{}'],
    ['an empty list', '[]'],
  ])('is refused and left alone: %s', async (_name, text) => {
    const path = await workshop.path();
    await writeFile(path, text);
    const store = workshop.store(path);
    const before = await stat(path, { bigint: true });
    for (const call of [
      () => store.get('a'),
      () => store.getAll(),
      () => store.commit('a', 1),
      () => store.reset('a', 1),
      () => store.claim('a'),
      () => store.clearAll(),
      () => store.recover(),
    ]) {
      await expect(call()).rejects.toEqual(corrupt);
    }
    await expect(store.get('a')).rejects.toThrow(/Nothing was changed/);
    expect(await store.verify()).toMatchObject({ status: 'corrupt', sources: 0 });
    await store.close();
    const after = await stat(path, { bigint: true });
    expect([after.ino, after.mtimeNs, after.nlink]).toEqual([before.ino, before.mtimeNs, 1n]);
    expect(await readFile(path, 'utf8')).toBe(text);
    expect(await readdir(dirname(path))).toEqual(['offsets.json']);
  });

  it('is refused when it is a directory, and nothing is made beside it', async () => {
    const path = await workshop.path();
    await mkdir(path);
    const store = workshop.store(path);
    for (const call of [
      () => store.get('a'),
      () => store.commit('a', 1),
      () => store.verify(),
      () => store.recover(),
    ]) {
      await expect(call()).rejects.toMatchObject({
        name: 'OffsetIoError',
        code: 'OFFSET_IO',
        cause: expect.objectContaining({ code: 'EISDIR' }),
      });
    }
    await store.close();
    expect(await readdir(dirname(path))).toEqual(['offsets.json']);
    expect(await readdir(path)).toEqual([]);
  });

  it('is refused when it is a named pipe, and nobody waits for its other end', async () => {
    const path = await workshop.path();
    await promisify(execFile)('mkfifo', [path]);
    await expect(workshop.store(path).get('a')).rejects.toMatchObject({ code: 'OFFSET_IO' });
  });

  it('is refused when a part of the path is a file', async () => {
    const path = await workshop.path();
    await writeFile(path, 'x');
    const store = workshop.store(join(path, 'offsets.json'));
    await expect(store.get('a')).rejects.toMatchObject({ code: 'OFFSET_IO', cause: { code: 'ENOTDIR' } });
    await expect(store.commit('a', 1)).rejects.toMatchObject({
      code: 'OFFSET_IO',
      cause: { code: 'ENOTDIR' },
    });
  });

  it('is refused when a newer version wrote it', async () => {
    const path = await workshop.path();
    const text = '{"format":"streamweave-offset","version":2,"sha256":"","sources":[]}\n';
    await writeFile(path, text);
    const store = workshop.store(path);
    for (const call of [() => store.get('a'), () => store.commit('a', 1), () => store.recover()]) {
      await expect(call()).rejects.toMatchObject({ name: 'UnsupportedError', code: 'OFFSET_UNSUPPORTED' });
    }
    expect(await store.verify()).toMatchObject({
      status: 'unsupported',
      problems: [expect.stringContaining('version 2')],
    });
    await store.close();
    expect(await readdir(dirname(path))).toEqual(['offsets.json']);
    expect(await readFile(path, 'utf8')).toBe(text);
  });

  it('is refused by its size, before it is read', async () => {
    const path = await workshop.path();
    const { fs, calls } = await recordingFileSystem();
    await writeFile(path, Buffer.alloc(1025, '['));
    const store = workshop.store(path, { fs, maxFileBytes: 1024 });
    await expect(store.get('a')).rejects.toEqual(corrupt);
    await expect(store.commit('a', 1)).rejects.toThrow(/maxFileBytes/);
    expect(calls.some(({ call }) => call === 'read')).toBe(false);
  });
});

describe('a file that would become too large', () => {
  it('is not written; the others of the round are', async () => {
    const store = workshop.store(await workshop.path(), { maxFileBytes: 2048, lock: noLock });
    await store.commit('a', 1);
    const results = await Promise.allSettled([
      store.commit('b', 1),
      store.commit('c', 1, { metadata: { text: 'x'.repeat(3000) } }),
      store.commit('d', 1),
    ]);
    expect(results).toEqual([
      { status: 'fulfilled', value: undefined },
      { status: 'rejected', reason: expect.objectContaining({ code: 'OFFSET_SERIALIZATION' }) },
      { status: 'fulfilled', value: undefined },
    ]);
    expect([...(await store.getAll()).keys()]).toEqual(['a', 'b', 'd']);
  });
});

describe('a damaged file', () => {
  it.each([
    ['cut', (bytes: Buffer) => bytes.subarray(0, bytes.length - 10)],
    ['cut to its first line', (bytes: Buffer) => bytes.subarray(0, bytes.indexOf('\n') + 1)],
    ['empty', () => Buffer.alloc(0)],
    ['full of NULs', (bytes: Buffer) => Buffer.alloc(bytes.length)],
    ['longer', (bytes: Buffer) => Buffer.concat([bytes, Buffer.from('\n')])],
  ])('is never empty (%s): typed error, the bytes stay, and get a second name', async (_name, damage) => {
    const path = await workshop.path();
    const first = workshop.store(path);
    await first.commit('a', 1);
    await first.close();
    const bytes = damage(await readFile(path));
    await writeFile(path, bytes);
    const store = workshop.store(path);
    for (const call of [
      () => store.get('a'),
      () => store.getAll(),
      () => store.commit('a', 2),
      () => store.clear('a'),
    ]) {
      await expect(call()).rejects.toEqual(corrupt);
    }
    await store.close();
    const names = await readdir(dirname(path));
    expect(names).toHaveLength(2);
    const [kept = ''] = names.filter((name) => /^offsets\.json\.corrupt-\d{8}T\d{6}\.\d{3}Z$/.test(name));
    expect((await readFile(path)).equals(bytes)).toBe(true);
    expect((await stat(join(dirname(path), kept))).ino).toBe((await stat(path)).ino);
    const again = workshop.store(path);
    await expect(again.get('a')).rejects.toThrow(path);
    await expect(again.get('a')).rejects.toThrow(kept);
  });

  it('gets one second name, however often it is found', async () => {
    const path = await workshop.path();
    const store = workshop.store(path);
    await store.commit('a', 1);
    for (let at = 300; at < 310; at++) {
      await flip(path, at);
      await expect(store.get('a')).rejects.toEqual(corrupt);
      await expect(store.commit('a', 2)).rejects.toEqual(corrupt);
    }
    const names = await readdir(dirname(path));
    expect(names.filter((name) => name.includes('corrupt'))).toHaveLength(1);
  });

  it('gets a name that is free', async () => {
    const path = await workshop.path();
    const now = () => 0;
    const store = workshop.store(path, { now });
    await store.commit('a', 1);
    await writeFile(`${path}.corrupt-19700101T000000.000Z`, 'somebody else');
    await flip(path, 300);
    await expect(store.get('a')).rejects.toThrow('offsets.json.corrupt-19700101T000000.000Z-1');
    expect(await readFile(`${path}.corrupt-19700101T000000.000Z`, 'utf8')).toBe('somebody else');
  });

  it('is told even where no second name can be made', async () => {
    const path = await workshop.path();
    await workshop.store(path).commit('a', 1);
    await flip(path, 300);
    const recorder = await recordingFileSystem();
    recorder.before = ({ call }) => {
      if (call === 'link') throw systemError('EROFS');
    };
    await expect(workshop.store(path, { fs: recorder.fs }).get('a')).rejects.toThrow(/EROFS/);
  });

  it('goes unharmed by verify(), which says what is wrong', async () => {
    const path = await workshop.path();
    const store = workshop.store(path);
    expect(await store.verify()).toEqual({ status: 'missing', path, bytes: 0, sources: 0, problems: [] });
    await store.commit('a', 1);
    const { length } = await readFile(path);
    expect(await store.verify()).toEqual({ status: 'ok', path, bytes: length, sources: 1, problems: [] });
    await flip(path, 300);
    expect(await store.verify()).toEqual({
      status: 'corrupt',
      path,
      bytes: length,
      sources: 0,
      problems: [expect.stringContaining('checksum'), expect.stringContaining('"a"')],
    });
    expect((await stat(path)).nlink).toBe(1);
  });
});

describe('recover()', () => {
  it('saves every line that verifies, with its epoch, and keeps the damaged bytes', async () => {
    const path = await workshop.path();
    const store = workshop.store(path);
    for (const source of ['a', 'b', 'c', 'd']) await store.commit(source, 5, { metadata: { source } });
    await store.reset('b', 3);
    await store.clear('d');
    const text = await readFile(path, 'utf8');
    const bytes = await flip(path, text.indexOf('"source":"c"') + 60);
    await expect(store.commit('a', 6)).rejects.toEqual(corrupt);

    const report = await store.recover();
    expect(report).toEqual({
      status: 'recovered',
      path,
      kept: expect.stringMatching(/\.corrupt-/),
      saved: ['a', 'b', 'd'],
      lost: [{ source: 'c', reason: expect.any(String) }],
    });
    expect((await readFile(report.kept as string)).equals(bytes)).toBe(true);
    expect(await store.inspect('a')).toMatchObject({ offset: Offset.sequence(5), metadata: { source: 'a' } });
    expect([await store.epoch('b'), await store.epoch('c'), await store.epoch('d')]).toEqual([1, 0, 1]);
    await store.commit('a', 6);
    expect((await store.verify()).status).toBe('ok');
    expect((await readdir(dirname(path))).filter((name) => name.includes('corrupt'))).toHaveLength(1);
  });

  it.each([
    ['the header', 3, 4, []],
    ['the digit of a checksum', 60, 4, []],
    ['the generation', 140, 4, []],
  ])('saves all where only %s is damaged', async (_name, at, saved, lost) => {
    const path = await workshop.path();
    const store = workshop.store(path);
    for (const source of ['a', 'b', 'c', 'd']) await store.commit(source, 5);
    await flip(path, at);
    expect(await store.recover()).toMatchObject({ status: 'recovered', lost });
    expect((await store.getAll()).size).toBe(saved);
  });

  it('saves the lines around a lost newline, and says how many are missing from a cut file', async () => {
    const path = await workshop.path();
    const store = workshop.store(path);
    for (const source of ['a', 'b', 'c', 'd']) await store.commit(source, 5);
    const text = await readFile(path, 'utf8');
    const newline = text.indexOf('\n', text.indexOf('"source":"b"'));
    await writeFile(
      path,
      `${text.slice(0, newline)}\0${text.slice(newline + 1, text.lastIndexOf('{"check"'))}`,
    );
    expect(await store.recover()).toMatchObject({
      saved: ['a', 'b', 'c'],
      lost: [{ source: undefined, reason: expect.stringContaining('1 more') }],
    });
  });

  it('makes an empty store of an empty file, because it was asked to', async () => {
    const path = await workshop.path();
    const store = workshop.store(path);
    await writeFile(path, '');
    expect(await store.recover()).toMatchObject({ status: 'recovered', saved: [], lost: [] });
    expect(await store.getAll()).toEqual(new Map());
    await store.commit('a', 1);
  });

  it('keeps a copy where hard links cannot be made', async () => {
    const path = await workshop.path();
    await workshop.store(path).commit('a', 1);
    const bytes = await flip(path, 300);
    const recorder = await recordingFileSystem();
    recorder.before = ({ call }) => {
      if (call === 'link') throw systemError('EPERM');
    };
    const store = workshop.store(path, { fs: recorder.fs });
    const { kept } = await store.recover();
    expect((await readFile(kept as string)).equals(bytes)).toBe(true);
    expect((await store.verify()).status).toBe('ok');
  });

  it('writes nothing where the damaged bytes cannot be kept', async () => {
    const path = await workshop.path();
    await workshop.store(path).commit('a', 1);
    const bytes = await flip(path, 300);
    const recorder = await recordingFileSystem();
    recorder.before = ({ call, path }) => {
      if (call === 'link') throw systemError('EPERM');
      if (call === 'open' && path.includes('corrupt')) throw systemError('ENOSPC');
    };
    const store = workshop.store(path, { fs: recorder.fs });
    await expect(store.recover()).rejects.toMatchObject({
      code: 'OFFSET_IO',
      message: expect.stringMatching(/^Could not keep the old file beside the new one of ".*": ENOSPC/),
    });
    expect((await readFile(path)).equals(bytes)).toBe(true);
  });

  it('changes nothing of a good file', async () => {
    const store = workshop.store(await workshop.path());
    expect(await store.recover()).toMatchObject({ status: 'unneeded', saved: [] });
    await store.commit('a', 1);
    const before = await stat(store.path, { bigint: true });
    expect(await store.recover()).toMatchObject({ status: 'unneeded', saved: ['a'], kept: undefined });
    expect((await stat(store.path, { bigint: true })).ino).toBe(before.ino);
  });

  it('is taken by stores that saw the file before it was damaged', async () => {
    const path = await workshop.path();
    const [a, b] = [workshop.store(path), workshop.store(path, { lockHoldMs: 0 })];
    for (let n = 0; n < 20; n++) await a.commit('a', n);
    expect(await b.get('a')).toEqual(Offset.sequence(19));
    // The generation is among what is damaged.
    const text = await readFile(path, 'utf8');
    await writeFile(path, text.replace(/"generation":\d+/, '"generation":x'));
    await a.recover();
    expect(await b.get('a')).toEqual(Offset.sequence(19));
    await b.commit('a', 20);
  });
});

describe('a file that went back', () => {
  it('or vanished, is no fresh start for a store that has seen it', async () => {
    const path = await workshop.path();
    const store = workshop.store(path);
    await store.commit('a', 1);
    await rm(path);
    await expect(store.get('a')).rejects.toEqual(corrupt);
    await expect(store.commit('a', 2)).rejects.toThrow(/gone/);
    await expect(store.getAll()).rejects.toEqual(corrupt);
    expect((await readdir(dirname(path))).includes('offsets.json')).toBe(false);
    // A new store has seen nothing, as a new process has not.
    expect(await workshop.store(path).get('a')).toBeUndefined();
    // And the old one accepts what is there, when told to.
    expect(await store.recover()).toMatchObject({ status: 'unneeded' });
    await store.commit('a', 1);
  });

  it('with its directory, is not made again', async () => {
    const directory = join(await workshop.directory(), 'sub');
    const store = workshop.store(join(directory, 'offsets.json'));
    await store.commit('a', 1);
    await rm(directory, { recursive: true });
    await expect(store.commit('a', 2)).rejects.toEqual(corrupt);
    expect(await readdir(await workshop.directory())).toEqual([]);
  });

  it.each(['in place', 'by another file'])('to an older one is refused (%s)', async (how) => {
    const path = await workshop.path();
    const store = workshop.store(path);
    await store.commit('a', 1);
    const old = await readFile(path);
    await store.commit('a', 2);
    if (how === 'by another file') await unlink(path);
    await writeFile(path, old);
    await expect(store.get('a')).rejects.toThrow(/went back/);
    await expect(store.commit('a', 3)).rejects.toEqual(corrupt);
    expect((await readFile(path)).equals(old)).toBe(true);
    expect(await store.recover()).toMatchObject({ status: 'unneeded' });
    expect(await store.get('a')).toEqual(Offset.sequence(1));
    await store.commit('a', 3);
  });

  it('or was forked, is refused', async () => {
    const path = await workshop.path();
    const store = workshop.store(path);
    await store.commit('a', 1);
    await rename(path, `${path}.old`);
    await workshop.store(path).commit('b', 1);
    await expect(store.get('a')).rejects.toThrow(/same generation/);
  });

  it('only seemingly, by a read that took longer than a commit, is no error', async () => {
    const path = await workshop.path();
    const store = workshop.store(path);
    await store.commit('a', 1);
    const recorder = await recordingFileSystem();
    const slow = workshop.store(path, { fs: recorder.fs });
    recorder.before = async ({ call }) => {
      if (call !== 'fstat') return;
      recorder.before = () => undefined;
      // The old file is open by now.
      await store.commit('a', 2);
      expect(await slow.get('a')).toEqual(Offset.sequence(2));
    };
    expect(await slow.get('a')).toEqual(Offset.sequence(1));
    expect(await slow.get('a')).toEqual(Offset.sequence(2));
  });
});

describe("the Rust crate's file", () => {
  const text = '{"orders":{"Sequence":18446744073709551615},"x":"Earliest","__proto__":{"Sequence":1}}';

  it('is read as it is, and upgraded at the first commit, with the old file kept', async () => {
    const path = await workshop.path();
    await writeFile(path, text);
    await utimes(path, 1000, 1000);
    const store = workshop.store(path);
    expect(await store.getAll()).toEqual(
      new Map<string, Offset>([
        ['orders', Offset.sequence(2n ** 64n - 1n)],
        ['x', Offset.earliest],
        ['__proto__', Offset.sequence(1n)],
      ]),
    );
    expect(await store.verify()).toMatchObject({ status: 'legacy', sources: 3 });
    expect(await readFile(path, 'utf8')).toBe(text);

    await store.commit('__proto__', 2);
    await store.close();
    const names = await readdir(dirname(path));
    expect(names).toEqual([
      'offsets.json',
      expect.stringMatching(/^offsets\.json\.crate-\d{8}T\d{6}\.\d{3}Z$/),
    ]);
    expect(await readFile(join(dirname(path), String(names[1])), 'utf8')).toBe(text);
    const again = workshop.store(path);
    expect((await again.verify()).status).toBe('ok');
    expect(await again.get('__proto__')).toEqual(Offset.sequence(2n));
    expect(await again.inspect('x')).toEqual({
      offset: Offset.earliest,
      epoch: 0,
      committedAt: new Date(1_000_000),
    });
  });

  it('is upgraded by a commit that changes nothing, not by one that is refused', async () => {
    const path = await workshop.path();
    await writeFile(path, text);
    const store = workshop.store(path);
    await expect(store.commit('orders', 1)).rejects.toMatchObject({ code: 'OFFSET_BEHIND' });
    expect(await readFile(path, 'utf8')).toBe(text);
    await store.commit('__proto__', 1);
    expect((await store.verify()).status).toBe('ok');
  });

  it('is kept once, though the upgrade is tried again', async () => {
    const path = await workshop.path();
    await writeFile(path, text);
    const recorder = await recordingFileSystem();
    recorder.before = ({ call }) => {
      if (call === 'rename') throw systemError('EIO');
    };
    await expect(workshop.store(path, { fs: recorder.fs }).commit('a', 1)).rejects.toMatchObject({
      code: 'OFFSET_IO',
    });
    expect(await readFile(path, 'utf8')).toBe(text);
    await workshop.store(path).commit('a', 1);
    const kept = (await readdir(dirname(path))).filter((name) => name.includes('.crate-'));
    expect(kept).toHaveLength(1);
    expect(await readFile(join(dirname(path), kept[0] as string), 'utf8')).toBe(text);
  });

  it('is not replaced where the old one cannot be kept', async () => {
    const path = await workshop.path();
    await writeFile(path, text);
    const recorder = await recordingFileSystem();
    recorder.before = ({ call, path }) => {
      if (call === 'link' || (call === 'open' && path.includes('crate'))) throw systemError('EACCES');
    };
    await expect(workshop.store(path, { fs: recorder.fs }).commit('a', 1)).rejects.toMatchObject({
      code: 'OFFSET_IO',
    });
    expect(await readFile(path, 'utf8')).toBe(text);
  });

  it('may have other names elsewhere', async () => {
    const path = await workshop.path();
    await writeFile(path, text);
    await link(path, await workshop.path('elsewhere'));
    await workshop.store(path).commit('a', 1);
    expect(await readFile(await workshop.path('elsewhere'), 'utf8')).toBe(text);
    expect((await readdir(dirname(path))).filter((name) => name.includes('.crate-'))).toHaveLength(1);
  });
});

describe('close()', () => {
  it('finishes what was begun, and refuses what comes later', async () => {
    const store = workshop.store(await workshop.path());
    const commits = [
      store.commit('a', 1),
      store.commit('b', 1, { metadata: { at: new Date() } }),
      store.get('a'),
    ];
    const closing = store.close();
    await expect(store.get('a')).rejects.toMatchObject({ name: 'ClosedError', code: 'OFFSET_CLOSED' });
    await Promise.all(commits);
    await closing;
    for (const call of [
      () => store.commit('a', 2),
      () => store.commitMany([]),
      () => store.getAll(),
      () => store.inspect('a'),
      () => store.inspectAll(),
      () => store.epoch('a'),
      () => store.reset('a', 1),
      () => store.claim('a'),
      () => store.clear('a'),
      () => store.clearAll(),
      () => store.verify(),
      () => store.recover(),
    ]) {
      await expect(call()).rejects.toMatchObject({ code: 'OFFSET_CLOSED' });
    }
    await store.close();
    expect((await workshop.store(store.path).getAll()).size).toBe(2);
  });

  it('leaves neither lock nor temporary directory, and closes all that was open', async () => {
    const open = new Set<number>();
    const { fs } = await recordingFileSystem();
    const store = workshop.store(await workshop.path(), {
      fs: {
        ...fs,
        open: async (...args) => {
          const fd = await fs.open(...args);
          open.add(fd);
          return fd;
        },
        close: async (fd) => {
          open.delete(fd);
          await fs.close(fd);
        },
      },
    });
    for (let n = 0; n < 5; n++) await store.commit('a', n);
    await store.get('a');
    await store.close();
    expect([...open]).toEqual([]);
    expect(await readdir(await workshop.directory())).toEqual(['offsets.json']);
  });

  it('of one store leaves the others of the same file open', async () => {
    const path = await workshop.path();
    const [a, b] = [workshop.store(path), workshop.store(path)];
    await Promise.all([a.commit('a', 1), b.commit('b', 1)]);
    const last = b.commit('b', 2);
    await a.close();
    await last;
    await b.commit('b', 3);
    expect(await b.get('b')).toEqual(Offset.sequence(3));
  });

  it('is done by await using', async () => {
    const path = await workshop.path();
    let kept: FileOffsetStore;
    {
      await using store = new FileOffsetStore(path);
      await store.commit('a', 1);
      kept = store;
    }
    await expect(kept.get('a')).rejects.toMatchObject({ code: 'OFFSET_CLOSED' });
  });

  it('need not be called for the process to end, and its lock goes with it', async () => {
    const path = await workshop.path();
    const script = `
      import { FileOffsetStore } from './lib/stores/file/file-store.ts';
      const store = new FileOffsetStore(process.argv[1]);
      await store.commit('a', { kind: 'earliest' });
    `;
    await promisify(execFile)(
      process.execPath,
      ['--import', 'tsx', '--input-type=module', '--eval', script, path],
      { timeout: 15_000 },
    );
    expect(await workshop.store(path).get('a')).toEqual(Offset.earliest);
    expect((await readdir(dirname(path))).includes('offsets.json.lock')).toBe(false);
  });
});

describe('arguments', () => {
  it('are refused by a rejection, never a throw, and nothing is done', async () => {
    const { fs, calls } = await recordingFileSystem();
    const store = workshop.store(await workshop.path(), { fs });
    await expect(store.get('')).rejects.toThrow(RangeError);
    await expect(store.get(1 as never)).rejects.toThrow(TypeError);
    await expect(store.commit('a\0', 1)).rejects.toThrow(RangeError);
    await expect(store.commit('a', -1)).rejects.toMatchObject({ code: 'OFFSET_INVALID' });
    await expect(store.commit('a', 1, { epoch: -1 })).rejects.toThrow(RangeError);
    await expect(store.commit('a', 1, { metadata: { f: (() => {}) as never } })).rejects.toMatchObject({
      code: 'OFFSET_SERIALIZATION',
    });
    await expect(store.commitMany([{ source: '', offset: Offset.latest }])).rejects.toThrow(RangeError);
    await expect(store.reset('a', Number.NaN)).rejects.toMatchObject({ code: 'OFFSET_INVALID' });
    await expect(store.claim('')).rejects.toThrow(RangeError);
    expect(calls).toEqual([]);
  });

  it('are copied: what the caller changes later, the store does not see', async () => {
    const store = workshop.store(await workshop.path());
    const date = new Date(5);
    const committing = store.commit('a', date, { metadata: { date } });
    date.setTime(6);
    await committing;
    const out = await store.inspect('a');
    expect(out).toMatchObject({ offset: Offset.timestamp(new Date(5)), metadata: { date: new Date(5) } });
    out?.committedAt.setTime(0);
    expect((await store.inspect('a'))?.committedAt.getTime()).not.toBe(0);
  });

  it('are applied in the order of the calls, with and without metadata', async () => {
    const store = workshop.store(await workshop.path());
    const results = await Promise.allSettled([
      store.commit('a', 1, { metadata: { first: true } }),
      store.commit('a', 2),
      store.commit('a', 3, { metadata: { third: new Date(3) } }),
    ]);
    expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled', 'fulfilled']);
    expect(await store.inspect('a')).toMatchObject({
      offset: Offset.sequence(3),
      metadata: { third: new Date(3) },
    });
  });
});
