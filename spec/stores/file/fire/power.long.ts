import { afterAll, expect, it } from '@jest/globals';
import { removeWorkerBundle } from '../../../support/fire-crew.js';
import { needs } from '../../../support/fire-gate.js';
import { Mounts } from '../../../support/fire-mounts.js';
import { losePower } from '../../../support/fire-power.js';
import { amount, printFigures, Random } from '../../../support/fire-random.js';

const describe = needs({ root: true, command: ['mkfs.ext4', 'mount', 'umount', 'perl'], mount: 'ext4' });

afterAll(removeWorkerBundle);

describe('power cuts while processes commit', () => {
  it.each([
    ['power cuts', undefined, amount('FIRE_POWER_CUTS', 200)],
    [
      'power cuts, control without the flush of directories',
      'no directory flush',
      amount('FIRE_CONTROL_CUTS', 50),
    ],
    ['power cuts, control without the flush of files', 'no file flush', amount('FIRE_CONTROL_CUTS', 50)],
  ] as const)(
    '%s',
    async (title, sabotage, cuts) => {
      const random = new Random();
      const start = performance.now();
      await using mounts = await Mounts.create();
      let acknowledged = 0;
      let cutsThatLost = 0;
      for (let cut = 0; cut < cuts; cut++) {
        const loss = await losePower(mounts, random, sabotage);
        acknowledged += loss.acknowledged;
        if (loss.lost.length > 0) cutsThatLost += 1;
        if (sabotage === undefined) expect(loss.lost).toEqual([]);
      }
      printFigures(title, {
        cuts,
        processes: 2,
        acknowledged,
        'cuts that lost': cutsThatLost,
        seed: random.seed,
        seconds: Math.round((performance.now() - start) / 1000),
      });
      if (sabotage !== undefined) expect(cutsThatLost).toBeGreaterThan(0);
    },
    3_600_000,
  );
});
