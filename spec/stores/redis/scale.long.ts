import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { expect, it } from '@jest/globals';
import { Redis } from 'ioredis';
import { Offset } from '../../../lib/offset.js';
import { RedisOffsetStore } from '../../../lib/stores/redis.js';
import { describeRedis } from '../../support/describe-redis.js';
import { amount, printFigures } from '../../support/fire-random.js';
import { DURABLE, RedisServer } from '../../support/redis-server.js';
import type { ScaleJob } from '../../support/redis-scale-worker.js';

const SOURCES = amount('SCALE_SOURCES', 100_000);
const PROCESSES = 8;
const TRACKERS = 64;
const RUN_MS = amount('SCALE_RUN_MS', 5_000);

describeRedis('RedisOffsetStore at scale', () => {
  it(`${SOURCES} sources, ${TRACKERS} trackers in ${PROCESSES} processes, beside bare statements`, async () => {
    await using server = await RedisServer.start(DURABLE);
    const client = new Redis(server.port);
    const store = new RedisOffsetStore(client, { keyPrefix: 'scale:' });
    const timed = async (what: string, call: () => Promise<unknown>): Promise<void> => {
      const start = performance.now();
      await call();
      printFigures(`redis, ${SOURCES} sources`, { [what]: `${Math.round(performance.now() - start)} ms` });
    };
    await timed('one commitMany() of all', () =>
      store.commitMany(
        Array.from({ length: SOURCES }, (_, index) => ({
          source: `source-${index}`,
          offset: Offset.sequence(0),
        })),
      ),
    );
    await client.copy(store.key, 'bare');
    await timed('getAll()', () => store.getAll());
    printFigures('redis, memory of the key', { bytes: await client.memory('USAGE', store.key) });

    for (let round = 1; round <= 2; round += 1) {
      for (const what of ['trackers', 'EVALSHA', 'HSET'] as const) {
        const micros = (
          await Promise.all(
            Array.from({ length: PROCESSES }, (_, number) => run(server.port, what, round, number)),
          )
        ).flat();
        const sorted = micros.toSorted((a, b) => a - b);
        const at = (part: number): string =>
          `${((sorted[Math.floor(sorted.length * part)] ?? 0) / 1_000).toFixed(1)} ms`;
        printFigures(`redis, round ${round}, ${what}`, {
          'commits per second': Math.round((sorted.length * 1_000) / RUN_MS),
          p50: at(0.5),
          p99: at(0.99),
        });
      }
    }
    const all = await store.getAll();
    expect(all.size).toBe(SOURCES);
    await timed('clearAll()', () => store.clearAll());
    client.disconnect();
  }, 600_000);
});

async function run(port: number, what: ScaleJob['what'], round: number, number: number): Promise<number[]> {
  const each = TRACKERS / PROCESSES;
  const share = Math.floor(SOURCES / TRACKERS);
  const job: ScaleJob = {
    port,
    what,
    round,
    ms: RUN_MS,
    ranges: Array.from({ length: each }, (_, index) => {
      const tracker = number * each + index;
      return [tracker * share, (tracker + 1) * share] as const;
    }),
  };
  const { stdout } = await promisify(execFile)(
    process.execPath,
    ['--import', 'tsx', 'spec/support/redis-scale-worker.ts', JSON.stringify(job)],
    { maxBuffer: 2 ** 28 },
  );
  return JSON.parse(stdout) as number[];
}
