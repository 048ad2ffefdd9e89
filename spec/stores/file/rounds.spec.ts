import { describe, expect, it } from '@jest/globals';
import { Offset } from '../../../lib/offset.js';
import { noLock, recordingFileSystem, systemError } from '../../support/file-fs.js';
import { Workshop } from '../../support/file-workshop.js';

const workshop = new Workshop();

describe('commits that wait at the same time', () => {
  it.each([
    ['the real lock', undefined],
    ['no lock', noLock],
  ])('share their rounds (%s)', async (_name, lock) => {
    const { fs, calls } = await recordingFileSystem();
    const store = workshop.store(await workshop.path(), { fs, lock });
    await Promise.all(
      Array.from({ length: 64 }, async (_, committer) => {
        for (let n = 0; n < 16; n++) await store.commit(`source-${committer}`, n);
      }),
    );
    const offsets = await store.getAll();
    expect(offsets.size).toBe(64);
    expect([...offsets.values()].every((offset) => Offset.equals(offset, Offset.sequence(15)))).toBe(true);
    // 1024 commits; with all of a round coming back for the next, 16 rounds.
    expect(calls.filter(({ call }) => call === 'rename').length).toBeLessThan(40);
  });

  it('share them among stores of the same file, and each is told its own end', async () => {
    const path = await workshop.path();
    const [a, b] = [workshop.store(path), workshop.store(path)];
    await a.commit('x', 5);
    await b.get('x');
    const results = await Promise.allSettled([
      a.commit('x', 6),
      b.commit('x', 4),
      b.commit('x', 9, { epoch: 1 }),
      a.reset('x', 2),
      b.commit('x', 3, { epoch: 1 }),
      a.claim('y'),
      b.epoch('x'),
    ]);
    expect(
      results.map((result) => (result.status === 'fulfilled' ? result.value : result.reason.code)),
    ).toEqual([undefined, 'OFFSET_BEHIND', 'OFFSET_FENCED', 1, undefined, 1, expect.any(Number)]);
    expect(await a.get('x')).toEqual(Offset.sequence(3));
  });

  it('are all told when their round fails, and nothing of it is kept', async () => {
    const recorder = await recordingFileSystem();
    const store = workshop.store(await workshop.path(), { fs: recorder.fs });
    await store.commit('a', 5);
    recorder.before = ({ call }) => {
      if (call === 'write') throw systemError('ENOSPC');
    };
    const results = await Promise.allSettled([
      store.commit('a', 6),
      store.commit('b', 1),
      store.commit('a', 1),
    ]);
    // The last would be refused as behind 6, which is not committed.
    expect(results).toEqual(
      Array.from({ length: 3 }, () => ({
        status: 'rejected',
        reason: expect.objectContaining({ code: 'OFFSET_IO' }),
      })),
    );
    recorder.before = () => undefined;
    expect(await store.getAll()).toEqual(new Map([['a', Offset.sequence(5)]]));
    await store.commit('a', 6);
  });
});
