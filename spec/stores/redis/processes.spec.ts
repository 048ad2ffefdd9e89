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
import { RedisOffsetStore } from '../../../lib/stores/redis.js';
import { bundleWorker } from '../../support/bundle.js';
import { describeRedis } from '../../support/describe-redis.js';
import { Random } from '../../support/fire-random.js';
import type { RedisPackage } from '../../support/redis-client.js';
import { RedisServer } from '../../support/redis-server.js';
import type { RedisJob } from '../../support/redis-worker.js';
import { endOf, violations } from '../../support/register-history.js';
import { historyOf } from '../../support/register-processes.js';

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
    const histories = await Promise.all(
      [0, 1, 2, 3].map((number) =>
        historyOf(worker, {
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
        } satisfies RedisJob),
      ),
    );
    const history = histories.flat();
    expect({ seed, violations: violations(history) }).toEqual({ seed, violations: [] });
    // Nothing failed, and they did meet; whether one came too late or under an old epoch then, is chance.
    const refused = history.flatMap(({ outcome }) => (outcome === 'ok' ? [] : [outcome]));
    expect(refused.filter((outcome) => outcome !== 'behind' && outcome !== 'fenced')).toEqual([]);
    expect(refused).not.toEqual([]);
    const store = new RedisOffsetStore(client, { keyPrefix });
    for (const source of ['a', 'b']) {
      const { offset, epoch } = endOf(history, source);
      expect(await store.get(source)).toEqual(Offset.sequence(offset));
      expect(await store.epoch(source)).toBe(epoch);
    }
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
