import { afterAll, describe, expect, it } from '@jest/globals';
import { Crew, removeWorkerBundle } from '../../../support/fire-crew.js';
import { type Aftermath, type Death, murder } from '../../../support/fire-killer.js';
import { printFigures, Random } from '../../../support/fire-random.js';

afterAll(removeWorkerBundle);

const CYCLES = 25;
const PROCESSES = 4;

async function kill(title: string, deaths: readonly Death[]): Promise<Aftermath> {
  const random = new Random();
  await using crew = await Crew.gather();
  const aftermath = await murder(crew, { deaths, processes: PROCESSES, cycles: CYCLES, random });
  printFigures(title, {
    cycles: CYCLES,
    processes: PROCESSES,
    acknowledged: crew.journal.total,
    'locks left': aftermath.locksLeft,
    'longest pause of a survivor in ms': aftermath.longestPauseMs,
    seed: random.seed,
  });
  return aftermath;
}

describe('processes that are killed while they commit to one file', () => {
  it('lose nothing that was acknowledged, and the survivors go on within four seconds', async () => {
    // Two files at the same time for kill -9: most of the time is spent waiting for locks of the dead.
    const results = await Promise.allSettled([
      kill('kill -9', ['SIGKILL']),
      kill('kill -9', ['SIGKILL']),
      kill('process.exit() and SIGTERM', ['SIGTERM', 'SIGUSR2']),
    ]);
    for (const result of results) {
      if (result.status === 'rejected') throw result.reason;
      expect(result.value.longestPauseMs).toBeLessThan(4000);
    }
  }, 180_000);
});
