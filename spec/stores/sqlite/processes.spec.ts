import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { FencedError } from '../../../lib/errors.js';
import { Offset } from '../../../lib/offset.js';
import { SqliteOffsetStore } from '../../../lib/stores/sqlite.js';
import { bundleWorker } from '../../support/bundle.js';
import { Random } from '../../support/fire-random.js';
import { type Operation, violations } from '../../support/register-history.js';
import { Databases } from '../../support/sqlite.js';
import type { SqliteJob } from '../../support/sqlite-worker.js';

const run = promisify(execFile);

let databases: Databases;
let worker: string;
beforeAll(async () => {
  databases = new Databases();
  worker = await bundleWorker('sqlite-worker.ts', databases.folder);
});
afterAll(() => databases.destroy());

/** What a process did. */
async function historyOf(job: SqliteJob): Promise<Operation[]> {
  const { stdout } = await run(process.execPath, [worker, JSON.stringify(job)], { maxBuffer: 2 ** 26 });
  const lines = stdout.trimEnd().split('\n');
  return lines.map((line) => {
    const operation = JSON.parse(line) as Omit<Operation, 'value' | 'start' | 'end'> &
      Record<'value' | 'start' | 'end', string>;
    const { value, start, end } = operation;
    return { ...operation, value: BigInt(value), start: BigInt(start), end: BigInt(end) };
  });
}

describe('several processes on one database', () => {
  it('lose no update, whatever three of them do at once, two of them under claims', async () => {
    const store = new SqliteOffsetStore(databases.connect(), { lockTimeoutMs: 20_000 });
    const { seed } = new Random();
    // The table is made by whoever is first.
    const histories = await Promise.all(
      [0, 1, 2].map((number) =>
        historyOf({
          file: databases.file,
          seed: seed + number,
          register: {
            process: `process-${number}`,
            sources: ['a', 'b'],
            operations: 200,
            claims: number < 2,
            clients: 3,
          },
        }),
      ),
    );
    const history = histories.flat();
    expect({ seed, violations: violations(history) }).toEqual({ seed, violations: [] });
    // They did meet, and nothing failed for a lock.
    const outcomes = new Set(history.map(({ outcome }) => outcome));
    expect(outcomes).toEqual(new Set(['ok', 'behind', 'fenced']));
    for (const source of ['a', 'b']) {
      const of = history.filter((operation) => operation.source === source && operation.outcome === 'ok');
      const commits = of.filter(({ call }) => call === 'commit').map(({ value }) => value);
      expect(await store.get(source)).toEqual(
        Offset.sequence(commits.reduce((newest, value) => (value > newest ? value : newest), 0n)),
      );
      const claims = of.filter(({ call }) => call === 'claim').map(({ value }) => Number(value));
      expect(claims.toSorted((a, b) => a - b)).toEqual(claims.map((_, at) => at + 1));
      expect(await store.epoch(source)).toBe(claims.length);
    }
  }, 60_000);

  it('fence the one that was there first', async () => {
    const file = `${databases.file}-zombie`;
    const zombie = new SqliteOffsetStore(databases.connect(file));
    const epoch = await zombie.claim('a');
    await zombie.commit('a', Offset.sequence(5), { epoch });
    const register = { process: 'successor', sources: ['a'], operations: 1, claims: true };
    const [claim] = await historyOf({ file, seed: 1, register });
    expect(claim).toMatchObject({ call: 'claim', value: BigInt(epoch + 1) });
    await expect(zombie.commit('a', Offset.sequence(6), { epoch })).rejects.toBeInstanceOf(FencedError);
    expect(await zombie.get('a')).toEqual(Offset.sequence(5));
  }, 60_000);
});
