import { afterAll, describe, it } from '@jest/globals';
import { Crew, removeWorkerBundle } from '../../../support/fire-crew.js';
import { freeze, type Freeze } from '../../../support/fire-freeze.js';
import type { Place } from '../../../support/fire-job.js';

afterAll(removeWorkerBundle);

const PLACES: readonly Place[] = [
  'token made',
  'swept',
  'before write',
  'before rename',
  'after rename',
  'after directory flush',
];

/** All at the same time, each in a directory of its own: they do little but wait. */
async function freezeAll(freezes: readonly Freeze[]): Promise<void> {
  const results = await Promise.allSettled(
    freezes.map(async (what) => {
      await using crew = await Crew.gather();
      try {
        await freeze(crew, what);
      } catch (error) {
        throw new Error(`${JSON.stringify(what)}: ${String(error)}`, { cause: error });
      }
    }),
  );
  for (const result of results) if (result.status === 'rejected') throw result.reason;
}

describe('a process that stands still inside a round', () => {
  it('goes on and undoes nothing, after it was stopped for longer than its lock lives, or blocked for five seconds', async () => {
    await freezeAll([
      ...PLACES.map((place) => ({ ambush: { place, how: 'stop' as const }, stoppedMs: 3200 })),
      ...(['token made', 'before rename', 'after rename'] as const).map((place) => ({
        ambush: { place, how: 5000 },
        stoppedMs: 0,
      })),
    ]);
  }, 60_000);
});
