import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from '@jest/globals';
import { Crew, removeWorkerBundle } from '../../../support/fire-crew.js';
import { commitTime, crowd } from '../../../support/fire-crowd.js';
import { share } from '../../../support/fire-fairness.js';
import { amount, printFigures } from '../../../support/fire-random.js';

afterAll(removeWorkerBundle);

describe('scale', () => {
  it('eight processes with eight sources each share fairly', async () => {
    const each = amount('FIRE_FAIRNESS_COMMITS', 1000);
    await using crew = await Crew.gather();
    const { commits, ratio } = await share(crew, 8, 8, each);
    printFigures('fairness', {
      processes: 8,
      sources: 64,
      commits: commits.join(' '),
      'best by worst': ratio.toFixed(2),
    });
    expect(ratio).toBeLessThanOrEqual(4);
  }, 900_000);

  it('50,000 foreign files beside the store slow a commit by no more than a factor of two', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'fire-scale-'));
    try {
      const empty = join(directory, 'empty');
      const crowded = join(directory, 'crowded');
      await mkdir(empty);
      await mkdir(crowded);
      crowd(crowded, 50_000);
      const ratios: number[] = [];
      // In turns, so that whatever else the machine does falls on both.
      for (let turn = 0; turn < 9; turn++) {
        const alone = await commitTime(join(empty, `offsets-${turn}.json`), 200);
        const among = await commitTime(join(crowded, `offsets-${turn}.json`), 200);
        ratios.push(among / alone);
      }
      const ratio = ratios.toSorted((a, b) => a - b)[4] ?? Infinity;
      printFigures('foreign files', {
        files: 50_000,
        'time of a commit by that beside none': ratio.toFixed(2),
      });
      expect(ratio).toBeLessThanOrEqual(2);
    } finally {
      await rm(directory, { recursive: true });
    }
  }, 300_000);
});
