import { afterAll, describe, it } from '@jest/globals';
import { contend } from '../../../support/fire-contention.js';
import { Crew, removeWorkerBundle } from '../../../support/fire-crew.js';
import { amount, printFigures } from '../../../support/fire-random.js';

afterAll(removeWorkerBundle);

describe('four processes that commit to one file', () => {
  it.each(['real', 'none'] as const)(
    'lose nothing that was acknowledged, with the lock: %s',
    async (lock) => {
      const commits = amount('FIRE_COMMITS', 2000);
      const start = performance.now();
      await using crew = await Crew.gather();
      const watch = await contend(crew, { lock, processes: 4, commits, timeoutMs: 1_700_000 });
      printFigures(`lock ${lock}`, {
        processes: 4,
        'commits each': commits,
        acknowledged: crew.journal.total,
        looks: watch.looks,
        lost: 0,
        seconds: Math.round((performance.now() - start) / 1000),
      });
    },
    1_800_000,
  );
});
