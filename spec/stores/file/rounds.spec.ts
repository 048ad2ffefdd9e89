import { rm, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { Offset } from '../../../lib/offset.js';
import type { FileOffsetStoreOptions } from '../../../lib/stores/file/file-store.js';
import type { LockOptions } from '../../../lib/stores/file/lock.js';
import { Rounds } from '../../../lib/stores/file/rounds.js';
import { loadRuntime } from '../../../lib/stores/file/runtime.js';
import { Witness } from '../../../lib/stores/file/witness.js';
import { settle } from '../../support/fake-clock.js';
import {
  noLock,
  type RecordedCall,
  type Recorder,
  recordingFileSystem,
  systemError,
} from '../../support/file-fs.js';
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

/** A store whose pauses take no time but on its own clock, and what is known of them and of its locks. */
async function timed(options: {
  readonly lock?: (taken: number) => string | undefined;
  readonly random?: number;
  readonly limits?: FileOffsetStoreOptions;
  readonly lingers?: boolean;
}) {
  const recorder = await recordingFileSystem();
  const pauses: (number | 'linger')[] = [];
  const leases: LockOptions[] = [];
  const time = { now: 0 };
  let asked = 0;
  const store = workshop.store(await workshop.path(), {
    fs: recorder.fs,
    random: () => options.random ?? 0.5,
    monotonicNow: () => time.now,
    sleep: async (ms, { ref = true } = {}) => {
      if (ms > 0) pauses.push(ref ? ms : 'linger');
      if (!ref && options.lingers === true) await new Promise(() => undefined);
      time.now += ms;
      await settle();
    },
    lock: {
      lock: async (_file, lockOptions) => {
        const refusal = options.lock?.(asked++);
        if (refusal !== undefined) throw systemError(refusal);
        leases.push(lockOptions);
        return async () => undefined;
      },
    },
    ...options.limits,
  });
  return { store, recorder, pauses, leases, time };
}

/** The recorder's next call of this kind, once. */
function once(recorder: Recorder, name: RecordedCall['call'], act: () => unknown): void {
  recorder.before = ({ call }) => {
    if (call !== name) return undefined;
    recorder.before = () => undefined;
    return act();
  };
}

describe('a writer that waits for the lock', () => {
  it.each([
    [0, 2],
    [0.5, 3],
    [0.75, 3.5],
  ])('tries again after 2 to 4 ms (random %d)', async (random, ms) => {
    const { store, pauses } = await timed({ random, lock: (asked) => (asked < 3 ? 'ELOCKED' : undefined) });
    await store.commit('a', 1);
    expect(pauses).toEqual([ms, ms, ms]);
  });

  it('gives up when it has waited as long as it may, and pauses no more', async () => {
    const { store, pauses, time } = await timed({ lock: () => 'ELOCKED', limits: { lockTimeoutMs: 6 } });
    await expect(store.commit('a', 1)).rejects.toMatchObject({
      code: 'OFFSET_LOCK_TIMEOUT',
      message: expect.stringMatching(
        /^Waited 6 ms for other writers of ".*offsets\.json", and nothing was changed/,
      ),
    });
    expect([pauses, time.now]).toEqual([[3, 3], 6]);
  });

  it('makes the directories anew where they are gone, after a pause of up to 2 ms', async () => {
    const { store, recorder, pauses } = await timed({
      lock: (asked) => (asked === 0 ? 'ENOENT' : undefined),
    });
    await store.commit('a', 1);
    expect(pauses).toEqual([1]);
    expect(recorder.calls.filter(({ call, path }) => call === 'mkdir' && path.endsWith('.tmp'))).toHaveLength(
      2,
    );
  });

  it('tells all that wait where the lock cannot be had', async () => {
    const { store } = await timed({ lock: (asked) => (asked === 0 ? 'EACCES' : undefined) });
    const results = await Promise.allSettled([store.commit('a', 1), store.commit('b', 1)]);
    const reason = expect.objectContaining({
      code: 'OFFSET_IO',
      message: expect.stringContaining('take the lock'),
    });
    expect(results).toEqual([
      { status: 'rejected', reason },
      { status: 'rejected', reason },
    ]);
    await store.commit('c', 1);
    expect([...(await store.getAll()).keys()]).toEqual(['c']);
  });
});

describe('a writer whose tokens others sweep', () => {
  it('pauses ever longer, up to 64 ms', async () => {
    const { store, recorder, pauses, leases } = await timed({ random: 1 });
    let swept = 8;
    recorder.before = ({ call }) => {
      if (call === 'rename' && swept-- > 0) throw systemError('ENOENT');
    };
    await store.commit('a', 1);
    expect(pauses).toEqual([1, 2, 4, 8, 16, 32, 64, 64]);
    expect(leases).toHaveLength(1);
  });

  it.each([
    [7, [1, 2, 4]],
    [8, [1, 2, 4, 8]],
  ])(
    'gives up when it has waited %d ms, and tells the calls whose time is over',
    async (lockTimeoutMs, expected) => {
      const { store, recorder, pauses } = await timed({ random: 1, limits: { lockTimeoutMs } });
      recorder.before = ({ call }) => {
        if (call === 'rename') throw systemError('ENOENT');
      };
      await expect(store.commit('a', 1)).rejects.toMatchObject({ code: 'OFFSET_LOCK_TIMEOUT' });
      expect(pauses).toEqual(expected);
      recorder.before = () => undefined;
      await store.commit('a', 1);
    },
  );
});

describe('a lock', () => {
  it('is kept for a call that follows soon, and asked for anew after that', async () => {
    const { store, leases, pauses } = await timed({ lingers: true });
    for (let n = 0; n < 5; n++) await store.commit('a', n);
    expect(leases).toHaveLength(1);
    expect(pauses.every((pause) => pause === 'linger')).toBe(true);
    const second = await timed({});
    for (let n = 5; n < 8; n++) {
      await second.store.commit('a', n);
      await settle();
      await settle();
      await settle();
    }
    expect(second.leases).toHaveLength(3);
  });

  it('is given back at once by a store that closes', async () => {
    const { store, pauses } = await timed({ lingers: true });
    await store.commit('a', 1);
    await settle();
    expect(pauses).toEqual(['linger']);
    await store.close();
    const other = await timed({ lingers: true });
    const last = other.store.commit('a', 2);
    await other.store.close();
    await last;
    expect(other.pauses).toEqual([]);
  });

  it('is not kept longer than lockHoldMs, however many wait', async () => {
    const { store, recorder, leases, time } = await timed({ limits: { lockHoldMs: 10 } });
    const later: Promise<void>[] = [];
    let n = 1;
    recorder.before = ({ call }) => {
      if (call !== 'rename' || n >= 6) return;
      time.now += 5;
      later.push(store.commit('a', ++n));
    };
    await store.commit('a', 1);
    await Promise.all(later);
    while (later.length < 5) await settle();
    await Promise.all(later);
    // Six rounds of 5 ms each, two for each lock.
    expect(leases).toHaveLength(3);
  });

  it('that is lost is asked for anew by the calls that wait, and by those whose round it was', async () => {
    const { store, recorder, leases } = await timed({});
    const later: Promise<void>[] = [];
    once(recorder, 'rename', () => {
      leases[0]!.onCompromised(new Error('stolen'));
      later.push(store.commit('b', 1));
    });
    await store.commit('a', 1);
    await Promise.all(later);
    expect(leases).toHaveLength(2);
    expect((await store.getAll()).size).toBe(2);
  });

  it('is left to others for 5 ms by a busy writer: at each eighth hold, and after each in which it met one, or was swept', async () => {
    const { store, recorder, pauses, leases } = await timed({ limits: { lockHoldMs: 0 } });
    const other = workshop.store(store.path, { lock: noLock });
    await store.commit('a', 0);
    leases.length = pauses.length = 0;
    const later: Promise<void>[] = [];
    const leftAt: number[] = [];
    let n = 0;
    let met = 0;
    let swept = false;
    recorder.before = async ({ call, path }) => {
      if (call === 'rename' && leases.length === 28 && !swept) {
        swept = true;
        throw systemError('ENOENT');
      }
      if (call === 'rename' && n < 40) later.push(store.commit('a', ++n));
      if (call !== 'open' || !path.endsWith('.token')) return;
      if (pauses.filter((pause) => pause === 5).length > leftAt.length) leftAt.push(leases.length);
      if (leases.length === 20) await other.commit('b', ++met);
    };
    await store.commit('a', ++n);
    for (let done = 0; done < later.length; done++) await later[done];
    expect(leases.length).toBe(40);
    // What is told here is the first hold after each pause. One hold went before, and what it found might be another's.
    expect(leftAt).toEqual([1, 8, 16, 21, 24, 29, 32, 40]);
  });
});

describe('a call that cannot go on', () => {
  it('is refused before anything is made, and takes no other along', async () => {
    const path = await workshop.path('sub/offsets.json');
    const [seen, fresh] = [workshop.store(path), workshop.store(path)];
    await seen.commit('a', 1);
    await rm(dirname(path), { recursive: true });
    const results = await Promise.allSettled([
      seen.commit('a', 2),
      fresh.commit('b', 1),
      seen.commit('a', 3),
    ]);
    const corrupt = { status: 'rejected', reason: expect.objectContaining({ code: 'OFFSET_CORRUPT' }) };
    expect(results).toEqual([corrupt, { status: 'fulfilled', value: undefined }, corrupt]);
    expect((await fresh.getAll()).size).toBe(1);
  });

  it('is none where the file becomes just as large as it may', async () => {
    const measured = workshop.store(await workshop.path('measured.json'));
    const metadata = { text: 'x'.repeat(2000) };
    await measured.commit('a', 1, { metadata });
    const { size } = await stat(measured.path);
    await workshop.store(await workshop.path(), { maxFileBytes: size }).commit('a', 1, { metadata });
    const smaller = workshop.store(await workshop.path('smaller.json'), { maxFileBytes: size - 1 });
    await expect(smaller.commit('a', 1, { metadata })).rejects.toMatchObject({
      code: 'OFFSET_SERIALIZATION',
    });
  });

  it('because the file would grow too large says how large, and how large it may be', async () => {
    const store = workshop.store(await workshop.path(), { maxFileBytes: 1024 });
    await store.commit('a', 1);
    const size = (await stat(store.path)).size;
    const metadata = { text: 'x'.repeat(2000) };
    await expect(store.commit('a', 2, { metadata })).rejects.toMatchObject({
      code: 'OFFSET_SERIALIZATION',
      message: expect.stringMatching(
        new RegExp(
          `^The offsets file ".*offsets\\.json" would grow to ${size + 2000 + '"metadata":{"text":""},'.length} bytes, and ` +
            '`maxFileBytes` allows 1024\\. Nothing was changed\\. Raise the option, or keep less$',
        ),
      ),
    });
    expect((await stat(store.path)).size).toBe(size);
  });
});

describe('a repair', () => {
  it('has a round of its own, with those that waited before it and after it in two others', async () => {
    const recorder = await recordingFileSystem();
    const limits = { maxFileBytes: 2 ** 20, lockTimeoutMs: 1000, lockHoldMs: 20 };
    const runtime = await loadRuntime(limits, { fs: recorder.fs, lock: noLock });
    const rounds = new Rounds(runtime, await workshop.path());
    const witness = new Witness();
    const order: string[] = [];
    const change = (source: string): Promise<unknown> =>
      rounds
        .change(witness, (draft) =>
          draft.apply(source, () => ({ offset: Offset.sequence(1), epoch: 0, committedAt: new Date(0) })),
        )
        .then(() => order.push(source));
    const repair = (): Promise<unknown> =>
      rounds.repair(witness).then(({ saved }) => order.push(`repair of ${saved.join()}`));
    await Promise.all([change('a'), change('b'), repair(), repair(), change('c'), change('d')]);
    expect(order).toEqual(['a', 'b', 'repair of a,b', 'repair of a,b', 'c', 'd']);
    expect(recorder.calls.filter(({ call }) => call === 'rename')).toHaveLength(2);
    expect(
      recorder.calls.filter(({ call, path }) => call === 'open' && path.endsWith('.token')),
    ).toHaveLength(4);
    await rounds.close();
  });
});
