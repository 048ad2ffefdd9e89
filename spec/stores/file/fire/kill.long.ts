import { afterAll, describe, expect, it } from '@jest/globals';
import { Crew, removeWorkerBundle } from '../../../support/fire-crew.js';
import { type Death, murder } from '../../../support/fire-killer.js';
import { amount, printFigures, Random } from '../../../support/fire-random.js';

afterAll(removeWorkerBundle);

describe('processes that are killed while they commit to one file', () => {
  it.each<[string, Death[], number]>([
    ['kill -9', ['SIGKILL'], amount('FIRE_KILLS', 1000)],
    ['exit and SIGTERM', ['SIGTERM', 'SIGUSR2'], amount('FIRE_EXITS', 500)],
    ['all deaths mixed', ['SIGKILL', 'SIGTERM', 'SIGUSR2'], amount('FIRE_EXITS', 500)],
  ])(
    'lose nothing that was acknowledged: %s',
    async (title, deaths, cycles) => {
      const random = new Random();
      const start = performance.now();
      await using crew = await Crew.gather();
      const { watch, longestPauseMs, locksLeft } = await murder(crew, {
        deaths,
        processes: 4,
        cycles,
        random,
      });
      printFigures(title, {
        cycles,
        processes: 4,
        acknowledged: crew.journal.total,
        looks: watch.looks,
        lost: 0,
        'locks left': locksLeft,
        'longest pause of a survivor in ms': longestPauseMs,
        seed: random.seed,
        seconds: Math.round((performance.now() - start) / 1000),
      });
      expect(longestPauseMs).toBeLessThan(4000);
    },
    7_200_000,
  );
});
