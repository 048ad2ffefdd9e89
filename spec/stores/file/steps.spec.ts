import { chmod, mkdir, readdir, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { Offset } from '../../../lib/offset.js';
import type { FileOffsetStore } from '../../../lib/stores/file/file-store.js';
import { ancestorsOf } from '../../../lib/stores/file/location.js';
import { noLock, type RecordedCall, recordingFileSystem, systemError } from '../../support/file-fs.js';
import { Workshop } from '../../support/file-workshop.js';

const workshop = new Workshop();

const GOES_ON = undefined;
const LEFT_OVER = '00000000-0000-4000-8000-000000000000.token';

/** What stands in the directory before the commit whose every call fails once, the store's own commit included. */
type Before = (store: FileOffsetStore) => Promise<unknown>;

const NOTHING: Before = async () => undefined;

const OURS: Before = (store) => store.commit('a', 1);

/** Another's commit since our own, and what a third left in a crash. */
const ANOTHERS: Before = async (store) => {
  await store.commit('a', 1);
  await workshop.store(store.path, { lock: noLock }).commit('b', 1);
  await writeFile(join(`${store.path}.tmp`, LEFT_OVER), '');
};

const OF_ANOTHER_MODE: Before = async (store) => {
  await store.commit('a', 1);
  await chmod(store.path, 0o640);
};

const CRATES: Before = async (store) => {
  await mkdir(dirname(store.path));
  await writeFile(store.path, '{"a":{"Sequence":1}}');
};

// In the words of the tables: the directory is `dir`, its own `dir/offsets.json.tmp` is `tmp`, ours is `token`.
const LOOKED_FOR: readonly (readonly [string, string | undefined])[] = [
  ['realpath offsets.json', 'find offsets.json'],
  ['lstat offsets.json', 'find offsets.json'],
  ['realpath dir', 'find offsets.json'],
  ['lstat dir', 'find offsets.json'],
  ['realpath above', 'find offsets.json'],
  ['open offsets.json', 'open offsets.json'],
];
const PREPARED: typeof LOOKED_FOR = [
  ['mkdir dir', 'make the directory dir'],
  ['mkdir tmp', 'make the directory tmp'],
  ['stat dir', 'make the directory tmp'],
  ['chmod tmp', 'make the directory tmp'],
];
const BEGUN: typeof LOOKED_FOR = [
  ['open token', 'make the temporary file token'],
  ['fstat token', 'look at token'],
  ['readdir tmp', 'list tmp'],
];
const READ: typeof LOOKED_FOR = [
  ['open offsets.json', 'open offsets.json'],
  ['fstat offsets.json', 'look at offsets.json'],
  ['read offsets.json', 'read offsets.json'],
];
const COMPARED: typeof LOOKED_FOR = [
  ['stat offsets.json', 'look at offsets.json'],
  ['read token', 'read offsets.json'],
];
const WRITTEN: typeof LOOKED_FOR = [
  ['write token', 'write token'],
  ['read token', 'read back token'],
  ['fsync token', 'flush token'],
];
const RENAMED: typeof LOOKED_FOR = [
  ['rename token', 'replace offsets.json'],
  ['fsync dir', 'flush the directory dir'],
];

const SCENES: readonly (readonly [string, Before, typeof LOOKED_FOR])[] = [
  [
    'the first',
    NOTHING,
    [
      ...LOOKED_FOR,
      ...PREPARED,
      ...BEGUN,
      ['open offsets.json', 'open offsets.json'],
      ['open above', GOES_ON],
      ['fsync above', 'flush the directory above'],
      ['close above', GOES_ON],
      ...WRITTEN,
      ['open dir', 'open the directory dir'],
      ...RENAMED,
    ],
  ],
  ['the second', OURS, [...BEGUN, ...COMPARED, ...WRITTEN, ...RENAMED, ['close token', GOES_ON]]],
  [
    "one after another's",
    ANOTHERS,
    [
      ...BEGUN,
      ['unlink left over', 'remove the temporary file left over'],
      ...COMPARED,
      ['close token', GOES_ON],
      ['close dir', GOES_ON],
      ...READ,
      ...WRITTEN,
      ['open dir', 'open the directory dir'],
      ...RENAMED,
      ['close offsets.json', GOES_ON],
    ],
  ],
  [
    'one of a file of another mode',
    OF_ANOTHER_MODE,
    [
      ...BEGUN,
      ...COMPARED,
      ['fchmod token', 'set the mode of token'],
      ...WRITTEN,
      ...RENAMED,
      ['close token', GOES_ON],
    ],
  ],
  [
    "one in the place of the crate's file",
    CRATES,
    [
      ['realpath offsets.json', 'find offsets.json'],
      ...READ,
      ['close offsets.json', 'close offsets.json'],
      ...PREPARED,
      ...BEGUN,
      ...READ,
      ['fchmod token', 'set the mode of token'],
      ...WRITTEN,
      ['open dir', 'open the directory dir'],
      // A copy is made instead.
      ['link offsets.json', GOES_ON],
      ['lstat kept', GOES_ON],
      ...RENAMED,
      ['close offsets.json', GOES_ON],
    ],
  ],
];

/** A name of these tables for a path, or the last part of one. */
function named(path: string, store: string): string {
  const name = basename(path);
  if (name === basename(dirname(store))) return 'dir';
  if (ancestorsOf(store).some((ancestor) => basename(ancestor) === name)) return 'above';
  if (name === `${basename(store)}.tmp`) return 'tmp';
  if (name === LEFT_OVER) return 'left over';
  if (name.includes('.crate-')) return 'kept';
  return name.endsWith('.token') ? 'token' : name;
}

describe('a commit', () => {
  it.each(SCENES)(
    '%s: each of its calls that fails is named, and the next commit goes on',
    async (_name, before, expected) => {
      const seen: [string, string | undefined][] = [];
      for (let nth = 1; ; nth++) {
        const recorder = await recordingFileSystem();
        const path = join(await workshop.directory(), `${nth}`, 'offsets.json');
        const store = workshop.store(path, { fs: recorder.fs, lock: noLock });
        await before(store);
        let calls = 0;
        let at: RecordedCall | undefined;
        recorder.before = (call) => {
          if (++calls !== nth) return;
          at = call;
          throw systemError('EIO');
        };
        const error = await store.commit('a', 2).then(
          () => undefined,
          (reason: unknown) => reason as Error,
        );
        recorder.before = () => undefined;
        if (at === undefined) break;
        const [, step, where] = /^Could not (.+) "(.*)": EIO\./.exec(error?.message ?? '') ?? [];
        const call = `${at.call} ${named(at.path, path)}`;
        // There are more of those above in one machine than in another.
        const isKnown = call.endsWith(' above') && seen.some(([other]) => other === call);
        if (!isKnown) seen.push([call, error === undefined ? GOES_ON : `${step} ${named(where!, path)}`]);
        if (error !== undefined) {
          const isUnknown = call === 'fsync dir';
          expect(error).toMatchObject({ code: isUnknown ? 'OFFSET_DURABILITY_UNKNOWN' : 'OFFSET_IO' });
        }
        await store.commit('a', 3);
        expect(await store.get('a')).toEqual(Offset.sequence(3));
        expect(await readdir(`${path}.tmp`)).toEqual([]);
        await store.close();
        expect((await readdir(dirname(path))).filter((name) => !name.includes('.crate-'))).toEqual([
          'offsets.json',
        ]);
      }
      expect(seen).toEqual(expected);
    },
  );

  it.each(['EACCES', 'EINVAL', 'ENOSYS', 'ENOTSUP', 'EOPNOTSUPP', 'EPERM', 'EROFS'])(
    'goes on where a directory above answers %s to its flush, because it is of a kind that is never flushed',
    async (code) => {
      const recorder = await recordingFileSystem();
      const path = join(await workshop.directory(), 'new', 'offsets.json');
      const above = basename(dirname(dirname(path)));
      let refused = 0;
      recorder.before = ({ call, path }) => {
        if (call !== 'fsync' || path !== above) return;
        refused++;
        throw systemError(code);
      };
      const store = workshop.store(path, { fs: recorder.fs, lock: noLock });
      await store.commit('a', 1);
      expect(refused).toBe(1);
      recorder.before = () => undefined;
      await store.close();
      // Every descriptor is closed again.
      const opened = recorder.calls.filter(({ call }) => call === 'open').length;
      const notThere = 2;
      expect(recorder.calls.filter(({ call }) => call === 'close').length).toBe(opened - notThere);
    },
  );
});
