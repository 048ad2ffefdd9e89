import { afterAll, describe, it } from '@jest/globals';
import { contend } from '../../../support/fire-contention.js';
import { Crew, removeWorkerBundle } from '../../../support/fire-crew.js';

afterAll(removeWorkerBundle);

describe('four processes that commit to one file', () => {
  it.each(['real', 'none'] as const)(
    'lose nothing that was acknowledged, with the lock: %s',
    async (lock) => {
      await using crew = await Crew.gather();
      await contend(crew, { lock, processes: 4, commits: 150, timeoutMs: 60_000 });
    },
    80_000,
  );
});
