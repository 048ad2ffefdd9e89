import { afterAll, expect, it } from '@jest/globals';
import { removeWorkerBundle } from '../../../support/fire-crew.js';
import { needs } from '../../../support/fire-gate.js';
import { Mounts } from '../../../support/fire-mounts.js';
import { losePower } from '../../../support/fire-power.js';
import { printFigures, Random } from '../../../support/fire-random.js';

const CUTS = 20;

const describe = needs({ root: true, command: ['mkfs.ext4', 'mount', 'umount', 'perl'], mount: 'ext4' });

afterAll(removeWorkerBundle);

describe('a power cut while processes commit', () => {
  it('takes nothing that was acknowledged', async () => {
    const random = new Random();
    await using mounts = await Mounts.create();
    let acknowledged = 0;
    for (let cut = 0; cut < CUTS; cut++) {
      const loss = await losePower(mounts, random);
      expect(loss.lost).toEqual([]);
      acknowledged += loss.acknowledged;
    }
    printFigures('power cuts', { cuts: CUTS, processes: 2, acknowledged, seed: random.seed });
  }, 120_000);

  // What the test above shows, it shows only where these lose.
  it.each(['no directory flush', 'no file flush'] as const)(
    'takes acknowledged commits where there is %s',
    async (sabotage) => {
      const random = new Random();
      await using mounts = await Mounts.create();
      let lost = 0;
      for (let cut = 0; cut < CUTS && lost === 0; cut++)
        lost += (await losePower(mounts, random, sabotage)).lost.length;
      expect(lost).toBeGreaterThan(0);
    },
    120_000,
  );
});
