import { it } from '@jest/globals';
import { describeRedis } from '../../support/describe-redis.js';
import { DURABLE, RedisServer } from '../../support/redis-server.js';
import { runAtScale, SOURCES } from '../../support/scale-run.js';
import { printFigures } from '../../support/fire-random.js';

describeRedis('RedisOffsetStore at scale', () => {
  it(`${SOURCES} sources, 64 trackers in 8 processes, beside bare statements`, async () => {
    await using server = await RedisServer.start(DURABLE);
    await runAtScale('redis', server.url);
    const memory = await server.cli('MEMORY', 'USAGE', 'streamweave-offset:offsets');
    printFigures('redis, after clearAll()', { 'bytes of the key': memory });
    for (const line of (await server.cli('INFO', 'commandstats')).split('\n')) {
      if (/^cmdstat_(?:evalsha|hset|hmget|hgetall):/.test(line))
        printFigures('redis', { server: line.trim() });
    }
  }, 600_000);
});
