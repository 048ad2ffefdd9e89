/** Several processes that compete, and a checker of what each of them saw. */
import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { Pool } from 'pg';
import { PostgresOffsetStore } from '../../../lib/stores/postgres.js';
import { bundleWorker } from '../../support/bundle.js';
import type { Operation } from '../../support/postgres-racer.js';
import { describeWithPostgres } from '../../support/describe-postgres.js';
import { PostgresServer, WITH_SERVER_MS } from '../../support/postgres-server.js';

const run = promisify(execFile);

const ROUNDS = 60;

/** What is wrong with a history of commits and reads of one source, each commit of which is refused when behind. */
function registerProblems(history: readonly Operation[]): string[] {
  const problems: string[] = [];
  const commits = history.filter(({ kind, refused }) => kind === 'commit' && refused === undefined);
  for (const one of history) {
    // Of what was answered before this began, the newest is the least that it may see.
    const floor = commits
      .concat(history.filter(({ kind }) => kind === 'read'))
      .filter(({ to }) => to < one.from)
      .reduce((newest, { value }) => Math.max(newest, value), 0);
    if (one.kind === 'read' && one.value < floor) problems.push(`read ${one.value} after ${floor}`);
    if (one.kind === 'commit' && one.refused === undefined && one.value < floor) {
      problems.push(`committed ${one.value} after ${floor}`);
    }
    const ceiling = commits
      .filter(({ from }) => from < one.to)
      .reduce((newest, { value }) => Math.max(newest, value), 0);
    if (one.kind === 'read' && one.value > ceiling)
      problems.push(`read ${one.value} before it was committed`);
  }
  return problems;
}

/** What is wrong with a history of claims, and of commits under the epochs that they gave. */
function claimProblems(history: readonly Operation[]): string[] {
  const problems: string[] = [];
  const claims = history.filter(({ kind }) => kind === 'claim');
  if (new Set(claims.map(({ value }) => value)).size !== claims.length)
    problems.push('two claims gave one epoch');
  for (const { kind, from, to, epoch = 0, refused } of history) {
    if (kind !== 'claimed commit') continue;
    const newest = claims
      .filter((claim) => claim.to < from)
      .reduce((max, { value }) => Math.max(max, value), 0);
    if (refused === undefined && newest > epoch) {
      problems.push(`a commit under epoch ${epoch} landed after the claim of ${newest}`);
    }
    const rival = claims.some((claim) => claim.value > epoch && claim.from < to);
    if (refused !== undefined && !rival)
      problems.push(`a commit under epoch ${epoch} was refused without a rival`);
  }
  return problems;
}

describeWithPostgres('several processes on one Postgres', () => {
  let server: PostgresServer;
  let folder: string | undefined;
  let racer: string;

  beforeAll(async () => {
    [server, folder] = await Promise.all([
      PostgresServer.start(),
      mkdtemp(join(tmpdir(), 'streamweave-offset-racers-')),
    ]);
    racer = await bundleWorker('postgres-racer.ts', folder);
  }, WITH_SERVER_MS);
  afterAll(async () => {
    await server?.remove();
    if (folder !== undefined) await rm(folder, { recursive: true, force: true });
  });

  it(
    'loses no update, never goes back, and fences everybody but the newest claimant',
    async () => {
      const drivers = ['pg', 'pg', 'postgres', 'postgres'];
      const outputs = await Promise.all(
        drivers.map((driver) =>
          run(process.execPath, [racer, driver, server.url(), 'raced', String(ROUNDS)], {
            maxBuffer: 2 ** 24,
          }),
        ),
      );
      const history = outputs.flatMap(({ stdout }) => JSON.parse(stdout) as Operation[]);
      expect(registerProblems(history.filter(({ kind }) => kind === 'commit' || kind === 'read'))).toEqual(
        [],
      );
      expect(claimProblems(history)).toEqual([]);
      expect(
        history.filter(({ kind, refused }) => kind === 'claimed commit' && refused !== undefined),
      ).not.toEqual([]);

      const pool = new Pool({ connectionString: server.url() });
      const store = new PostgresOffsetStore(pool, { table: 'raced' });
      expect(await store.get('register')).toEqual({ kind: 'sequence', value: BigInt(ROUNDS) });
      expect(await store.epoch('owned')).toBe((drivers.length * ROUNDS) / 5);
      await pool.end();
    },
    WITH_SERVER_MS,
  );

  it('has a checker that finds what is wrong', () => {
    const at = (
      kind: Operation['kind'],
      from: number,
      value: number,
      more: Partial<Operation> = {},
    ): Operation => ({
      kind,
      from,
      to: from + 1,
      value,
      ...more,
    });
    expect(registerProblems([at('commit', 0, 5), at('read', 2, 5), at('commit', 4, 6)])).toEqual([]);
    expect(registerProblems([at('commit', 0, 5), at('read', 2, 4)])).toHaveLength(1);
    expect(registerProblems([at('commit', 0, 5), at('commit', 2, 4)])).toHaveLength(1);
    expect(registerProblems([at('read', 0, 5), at('commit', 2, 5)])).toHaveLength(1);
    expect(claimProblems([at('claim', 0, 1), at('claim', 2, 1)])).toHaveLength(1);
    const zombie = at('claimed commit', 4, 1, { epoch: 1 });
    expect(claimProblems([at('claim', 0, 1), at('claim', 2, 2), zombie])).toHaveLength(1);
    expect(claimProblems([at('claim', 0, 1), { ...zombie, refused: 'OFFSET_FENCED' }])).toHaveLength(1);
  });
});
