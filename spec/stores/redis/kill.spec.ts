import { expect, it } from '@jest/globals';
import { describeRedis } from '../../support/describe-redis.js';
import { killEverysec, killRepeatedly } from '../../support/redis-kills.js';

describeRedis('RedisOffsetStore, while its server is killed (kill -9) and started again', () => {
  it('loses nothing acknowledged with appendfsync always', async () => {
    const { lost, acknowledged, kills } = await killRepeatedly(12);
    expect({ kills, lost }).toEqual({ kills: 12, lost: [] });
    expect(acknowledged).toBeGreaterThan(100);
  });

  it('would tell of what is lost: without an append-only file everything is', async () => {
    const { lost } = await killRepeatedly(1, {});
    expect(lost.length).toBeGreaterThan(0);
  });

  it('loses nothing acknowledged more than 2 s before with appendfsync everysec', async () => {
    const { lost, acknowledged } = await killEverysec(1);
    expect(lost).toEqual([]);
    expect(acknowledged).toBeGreaterThan(100);
  });
});
