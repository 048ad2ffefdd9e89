import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { FencedError } from '../../../lib/errors.js';
import { Offset } from '../../../lib/offset.js';
import { SqliteOffsetStore } from '../../../lib/stores/sqlite.js';
import { bundleWorker } from '../../support/bundle.js';
import { Random } from '../../support/fire-random.js';
import { endOf, violations } from '../../support/register-history.js';
import { historyOf } from '../../support/register-processes.js';
import { Databases } from '../../support/sqlite.js';
import type { SqliteJob } from '../../support/sqlite-worker.js';

let databases: Databases;
let worker: string;
beforeAll(async () => {
  databases = new Databases();
  worker = await bundleWorker('sqlite-worker.ts', databases.folder);
});
afterAll(() => databases.destroy());

describe('several processes on one database', () => {
  it('lose no update, whatever three of them do at once, two of them under claims', async () => {
    const store = new SqliteOffsetStore(databases.connect(), { lockTimeoutMs: 20_000 });
    const { seed } = new Random();
    // The table is made by whoever is first.
    const histories = await Promise.all(
      [0, 1, 2].map((number) =>
        historyOf(worker, {
          file: databases.file,
          seed: seed + number,
          register: {
            process: `process-${number}`,
            sources: ['a', 'b'],
            operations: 200,
            claims: number < 2,
            clients: 3,
          },
        } satisfies SqliteJob),
      ),
    );
    const history = histories.flat();
    expect({ seed, violations: violations(history) }).toEqual({ seed, violations: [] });
    // Nothing failed, and they did meet; whether one came too late or under an old epoch then, is chance.
    const refused = history.flatMap(({ outcome }) => (outcome === 'ok' ? [] : [outcome]));
    expect(refused.filter((outcome) => outcome !== 'behind' && outcome !== 'fenced')).toEqual([]);
    expect(refused).not.toEqual([]);
    for (const source of ['a', 'b']) {
      const { offset, epoch } = endOf(history, source);
      expect(await store.get(source)).toEqual(Offset.sequence(offset));
      expect(await store.epoch(source)).toBe(epoch);
    }
  }, 60_000);

  it('fence the one that was there first', async () => {
    const file = `${databases.file}-zombie`;
    const zombie = new SqliteOffsetStore(databases.connect(file));
    const epoch = await zombie.claim('a');
    await zombie.commit('a', Offset.sequence(5), { epoch });
    const register = { process: 'successor', sources: ['a'], operations: 1, claims: true };
    const [claim] = await historyOf(worker, { file, seed: 1, register } satisfies SqliteJob);
    expect(claim).toMatchObject({ call: 'claim', value: BigInt(epoch + 1) });
    await expect(zombie.commit('a', Offset.sequence(6), { epoch })).rejects.toBeInstanceOf(FencedError);
    expect(await zombie.get('a')).toEqual(Offset.sequence(5));
  }, 60_000);
});
