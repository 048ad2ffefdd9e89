/** kill -9 of redis-server while several clients commit. */
import { setTimeout as delay } from 'node:timers/promises';
import { OffsetIoError } from '../../lib/errors.js';
import { Offset } from '../../lib/offset.js';
import { RedisOffsetStore } from '../../lib/stores/redis.js';
import { Random } from './fire-random.js';
import { openClient } from './redis-client.js';
import { DURABLE, type RedisConfig, RedisServer } from './redis-server.js';

export interface KillFigures {
  readonly kills: number;
  /** Commits whose promise resolved. */
  readonly acknowledged: number;
  /** Commits that failed, as they must while there is no server. */
  readonly failed: number;
  /** Acknowledged and gone, in words. */
  readonly lost: readonly string[];
}

/** An acknowledged commit, and when it was. */
interface Acknowledged {
  readonly value: number;
  readonly at: number;
}

const COMMITTERS = 4;

/** With `appendfsync always`; a kill at a moment at random, after which everything acknowledged is looked for. */
export async function killRepeatedly(kills: number, config = DURABLE): Promise<KillFigures> {
  const random = new Random();
  return await killing(config, kills, () => 20 + random.below(150), 0);
}

/** With `appendfsync everysec`; what was acknowledged longer than 2 s before the kill is looked for. */
export async function killEverysec(kills: number): Promise<KillFigures> {
  return await killing({ appendonly: 'yes', appendfsync: 'everysec' }, kills, () => 2_500, 2_000);
}

async function killing(
  config: RedisConfig,
  kills: number,
  runMs: () => number,
  windowMs: number,
): Promise<KillFigures> {
  await using server = await RedisServer.start(config);
  const clients = await Promise.all([openClient('ioredis', server.port), openClient('redis', server.port)]);
  const lost: string[] = [];
  let acknowledged = 0;
  let failed = 0;
  try {
    const newest = new Map<string, Acknowledged[]>();
    const state = { going: true, pausing: 0 };
    // While the server's data are looked at nobody adds to them: a newer commit would hide a lost one.
    let pause: Promise<void> | undefined;
    const commits = Array.from({ length: COMMITTERS }, async (_, number) => {
      const source = `source-${number}`;
      const store = new RedisOffsetStore((clients[number % 2] as (typeof clients)[0]).client);
      const mine: Acknowledged[] = [];
      newest.set(source, mine);
      for (let value = 0; state.going; value += 1) {
        if (pause !== undefined) {
          state.pausing += 1;
          await pause;
          state.pausing -= 1;
        }
        try {
          await store.commit(source, Offset.sequence(value));
          mine.push({ value, at: performance.now() });
          acknowledged += 1;
        } catch (error) {
          if (!(error instanceof OffsetIoError)) throw error;
          failed += 1;
          await delay(5);
        }
      }
    });
    const control = async (): Promise<void> => {
      for (let kill = 0; kill < kills; kill += 1) {
        await delay(runMs());
        const killedAt = performance.now();
        await server.kill();
        let goOn = (): void => {};
        pause = new Promise((resolve) => {
          goOn = resolve;
        });
        while (state.pausing < newest.size) await delay(1);
        await server.start();
        const fresh = await openClient('ioredis', server.port);
        const store = new RedisOffsetStore(fresh.client);
        for (const [source, mine] of newest) {
          const value = mine.findLast(({ at }) => windowMs === 0 || at <= killedAt - windowMs)?.value ?? -1;
          const offset = await store.get(source);
          const found = offset?.kind === 'sequence' ? Number(offset.value) : -1;
          if (found < value) lost.push(`kill ${kill}: ${source} acknowledged at ${value}, found at ${found}`);
        }
        fresh.disconnect();
        pause = undefined;
        goOn();
      }
    };
    try {
      await Promise.race([control(), Promise.all(commits)]);
    } finally {
      state.going = false;
    }
    await Promise.all(commits);
  } finally {
    for (const { disconnect } of clients) disconnect();
  }
  return { kills, acknowledged, failed, lost };
}
