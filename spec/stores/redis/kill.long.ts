import { expect, it } from '@jest/globals';
import { describeRedis } from '../../support/describe-redis.js';
import { amount, printFigures } from '../../support/fire-random.js';
import { killEverysec, killRepeatedly } from '../../support/redis-kills.js';

const KILLS = amount('FIRE_REDIS_KILLS', 100);

describeRedis('RedisOffsetStore, while its server is killed (kill -9) and started again, for long', () => {
  it(`loses nothing acknowledged with appendfsync always: ${KILLS} kills`, async () => {
    const { lost, ...figures } = await killRepeatedly(KILLS);
    printFigures('redis, appendfsync always', { ...figures, lost: lost.length });
    expect({ kills: figures.kills, lost }).toEqual({ kills: KILLS, lost: [] });
  }, 600_000);

  it('loses nothing acknowledged more than 2 s before with appendfsync everysec: 20 kills', async () => {
    const { lost, ...figures } = await killEverysec(20);
    printFigures('redis, appendfsync everysec', { ...figures, lost: lost.length });
    expect(lost).toEqual([]);
  }, 600_000);
});
