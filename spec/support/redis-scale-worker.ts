/** A process of the scale run: several trackers, or several loops of bare statements, each over sources of its own. */
import { Redis } from 'ioredis';
import { OffsetTracker } from '../../lib/tracker/offset-tracker.js';
import { RedisOffsetStore } from '../../lib/stores/redis.js';

/** The worker's argument, as JSON. */
export interface ScaleJob {
  readonly port: number;
  readonly what: 'trackers' | 'HSET' | 'EVALSHA';
  /** Of each loop, the sources from the first up to the second. */
  readonly ranges: ReadonlyArray<readonly [number, number]>;
  readonly round: number;
  readonly ms: number;
}

const job = JSON.parse(process.argv[2] ?? '') as ScaleJob;
const client = new Redis(job.port);
const sha = (await client.script('LOAD', "return redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])")) as string;
const latencies: number[] = [];

async function loop([from, to]: readonly [number, number]): Promise<void> {
  const tracker = new OffsetTracker(new RedisOffsetStore(client, { keyPrefix: 'scale:' }));
  let value = job.round * 1_000_000;
  const end = performance.now() + job.ms;
  while (performance.now() < end) {
    value += 1;
    const source = `source-${from + (value % (to - from))}`;
    const start = performance.now();
    if (job.what === 'trackers') {
      await tracker.record(source, value);
    } else {
      // As long as what the store writes.
      const text = `0 sequence ${Date.now()} \n${String(value).padStart(20, '0')}`;
      if (job.what === 'HSET') await client.hset('bare', source, text);
      else await client.evalsha(sha, 1, 'bare', source, text);
    }
    latencies.push(performance.now() - start);
  }
  await tracker.close();
}

await Promise.all(job.ranges.map(loop));
client.disconnect();
process.stdout.write(JSON.stringify(latencies.map((ms) => Math.round(ms * 1_000))));
