import { beforeAll, describe, expect, it } from '@jest/globals';
import { buildRace, noticeable, type RaceOptions } from '../../../support/sim-commit-race.js';
import { explore } from '../../../support/sim-explore.js';
import type { SimDisk } from '../../../support/sim-fs.js';
import { Oracle } from '../../../support/sim-oracle.js';
import { runWorkload } from '../../../support/sim-workload.js';
import { checkProtocol, Protocol } from './protocol.js';

/** How many seeds, and the first of them, can be chosen. */
const SEEDS = Number(process.env.SEEDS ?? 20_000);
const FIRST_SEED = Number(process.env.FIRST_SEED ?? 1_000_000);

const HOUR_MS = 3_600_000;

beforeAll(() => Oracle.prepare());

it.each([
  [2, 4],
  [3, 2],
  [4, 1],
])(
  'the machine keeps its promises in every state: %i processes, %i commits each',
  (processes, commits) => {
    expect(checkProtocol(new Protocol(), processes, commits).violation).toBeUndefined();
  },
  HOUR_MS,
);

describe("every schedule of the store's own code keeps every promise", () => {
  const races: readonly (readonly [string, RaceOptions, number])[] = [
    ['a new file, both crash', { processes: 2, commits: 1, warm: false, tries: 2 }, 2],
    ['a file held open, three tries, a crash', { processes: 2, commits: 1, warm: true, tries: 3 }, 1],
    ['two commits each, a crash', { processes: 2, commits: 2, warm: false, tries: 2 }, 1],
  ];
  it.each(races)(
    '%s',
    async (_, race, crashes) => {
      let disk: SimDisk | undefined;
      const { violation } = await explore({
        async build(onCall) {
          const scenario = await buildRace({ ...race, onCall });
          ({ disk } = scenario);
          return scenario;
        },
        visible: (call) => disk !== undefined && noticeable(disk, call),
        crashes,
        maxRuns: 5_000_000,
      });
      expect(violation).toBeUndefined();
    },
    HOUR_MS,
  );
});

it(
  `${SEEDS} schedules chosen by seeds keep every promise`,
  async () => {
    for (let seed = FIRST_SEED; seed < FIRST_SEED + SEEDS; seed++) await runWorkload(seed);
  },
  HOUR_MS,
);
