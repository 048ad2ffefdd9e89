import { type ChildProcess, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface, type Interface } from 'node:readline';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { Redis } from 'ioredis';
import { Offset } from '../../../lib/offset.js';
import type { OffsetStore } from '../../../lib/offset-store.js';
import { RedisOffsetStore } from '../../../lib/stores/redis.js';
import { bundleWorker } from '../../support/bundle.js';
import { describeRedis } from '../../support/describe-redis.js';
import { Random } from '../../support/fire-random.js';
import type { RedisPackage } from '../../support/redis-client.js';
import { RedisServer } from '../../support/redis-server.js';
import type { RedisJob } from '../../support/redis-worker.js';
import { useRegister } from '../../support/register-client.js';
import { type Operation, violations } from '../../support/register-history.js';

const PACKAGES: readonly RedisPackage[] = ['ioredis', 'redis'];

const children = new Set<ChildProcess>();

/** Runs a worker; what it reports is read line by line. */
function start(worker: string, job: RedisJob): { child: ChildProcess; lines: Interface } {
  const child = spawn(process.execPath, [worker, JSON.stringify(job)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  children.add(child);
  return { child, lines: createInterface({ input: child.stdout }) };
}

/** An operation as it was before it became JSON. */
function revived(line: string): Operation {
  const { value, start, end, ...rest } = JSON.parse(line) as Omit<Operation, 'value' | 'start' | 'end'> &
    Record<'value' | 'start' | 'end', string>;
  return { ...rest, value: BigInt(value), start: BigInt(start), end: BigInt(end) };
}

describeRedis('RedisOffsetStore, used by several processes', () => {
  let server: RedisServer;
  let client: Redis;
  let folder: string;
  let worker: string;
  beforeAll(async () => {
    server = await RedisServer.start();
    client = new Redis(server.port);
    folder = await mkdtemp(path.join(tmpdir(), 'streamweave-offset-redis-'));
    worker = await bundleWorker('redis-worker.ts', folder);
  });
  afterAll(async () => {
    // Those of a test that failed; for the others it is too late.
    for (const child of children) child.kill('SIGKILL');
    client.disconnect();
    await server.stop();
    await rm(folder, { recursive: true, force: true });
  });

  it('loses no update, whatever four of them do at once, two of them under claims', async () => {
    const keyPrefix = `${randomUUID()}:`;
    const { seed } = new Random();
    const history: Operation[] = [];
    await Promise.all(
      [0, 1, 2, 3].map(async (number) => {
        const { child, lines } = start(worker, {
          client: PACKAGES[number % 2] as RedisPackage,
          port: server.port,
          keyPrefix,
          seed: seed + number,
          register: {
            process: `process-${number}`,
            sources: ['a', 'b'],
            operations: 750,
            claims: number < 2,
            clients: 4,
          },
        });
        lines.on('line', (line) => history.push(revived(line)));
        const [[code]] = (await Promise.all([once(child, 'exit'), once(lines, 'close')])) as [
          [number],
          unknown,
        ];
        expect(code).toBe(0);
      }),
    );
    const context = { seed, violations: violations(history) };
    expect(context).toEqual({ seed, violations: [] });
    // It was a contest: every outcome that there is occurs, and the last value is the highest acknowledged.
    const outcomes = new Set(history.map(({ outcome }) => outcome));
    expect(outcomes).toEqual(new Set(['ok', 'behind', 'fenced']));
    const store = new RedisOffsetStore(client, { keyPrefix });
    for (const source of ['a', 'b']) {
      const acknowledged = history.filter(
        (operation) =>
          operation.source === source && operation.call === 'commit' && operation.outcome === 'ok',
      );
      const highest = acknowledged.reduce((most, { value }) => (value > most ? value : most), -1n);
      expect(await store.get(source)).toEqual(Offset.sequence(highest));
    }
  });

  it('would tell of lost updates: a store that reads and then writes has them', async () => {
    const values = new Map<string, bigint>();
    const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
    const careless: OffsetStore = {
      async get(source) {
        const value = values.get(source);
        await turn();
        return value === undefined ? undefined : Offset.sequence(value);
      },
      async commit(source, offset) {
        const value = offset.kind === 'sequence' ? offset.value : 0n;
        const current = values.get(source) ?? -1n;
        await turn();
        if (value >= current) values.set(source, value);
        await turn();
      },
      getAll: async () => new Map(),
      clear: async () => {},
      clearAll: async () => {},
    };
    const history: Operation[] = [];
    await Promise.all(
      [1, 2, 3, 4].map((number) =>
        useRegister(
          careless,
          { process: `client-${number}`, sources: ['a'], operations: 500, claims: false },
          new Random(number),
          (operation) => history.push(operation),
        ),
      ),
    );
    expect(violations(history).length).toBeGreaterThan(0);
  });

  it('refuses a zombie: a process that stood still while another claimed', async () => {
    const keyPrefix = `${randomUUID()}:`;
    const { child, lines } = start(worker, {
      client: 'ioredis',
      port: server.port,
      keyPrefix,
      seed: 1,
      hold: 'orders',
    });
    const reports: Array<{ claimed?: number; committed?: number; refused?: string }> = [];
    const working = new Promise<void>((resolve) => {
      lines.on('line', (line) => {
        reports.push(JSON.parse(line) as (typeof reports)[0]);
        if (reports.length === 20) resolve();
      });
    });
    await working;
    child.kill('SIGSTOP');
    const store = new RedisOffsetStore(client, { keyPrefix });
    expect(await store.claim('orders')).toBe(2);
    await store.commit('orders', Offset.sequence(2_000_000), { epoch: 2 });
    const ended = Promise.all([once(child, 'exit'), once(lines, 'close')]);
    child.kill('SIGCONT');
    await ended;
    expect(reports[0]).toEqual({ claimed: 1 });
    expect(reports.at(-1)).toEqual({ refused: 'OFFSET_FENCED' });
    expect(await store.inspect('orders')).toMatchObject({ offset: Offset.sequence(2_000_000), epoch: 2 });
  });
});
