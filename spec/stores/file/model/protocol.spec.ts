import { beforeAll, describe, expect, it } from '@jest/globals';
import { Random } from '../../../support/fire-random.js';
import { buildRace, RACE_PATH, type RaceOptions } from '../../../support/sim-commit-race.js';
import { ORDER_MUTANTS } from '../../../support/sim-mutants.js';
import { Oracle, Violation } from '../../../support/sim-oracle.js';
import { checkProtocol, Protocol, PROTOCOL_MUTANTS, ProtocolShadow } from './protocol.js';

beforeAll(() => Oracle.prepare());

/** One schedule of the store's own code, with the machine walking along; gives how far it went. */
async function walkAlong(seed: number, race: RaceOptions): Promise<{ versions: number; steps: number }> {
  const random = new Random(seed);
  let shadow: ProtocolShadow | undefined;
  try {
    const { world, oracle } = await buildRace({
      ...race,
      onCall(call, outcome, disk) {
        shadow ??= new ProtocolShadow(disk, RACE_PATH, race.processes);
        shadow.onCall(call, outcome);
      },
    });
    const crashAt = random.below(200);
    for (let calls = 0; ; calls++) {
      const pending = world.pending();
      if (pending.length === 0) break;
      if (calls === crashAt) {
        const alive = world.processes.filter(({ state }) => state === 'running');
        if (alive.length > 0) random.pick(alive).crash();
        continue;
      }
      await world.open(random.pick(pending));
      oracle.check();
    }
    if (oracle.versions !== shadow?.versions) {
      throw new Violation(
        `The file has had ${oracle.versions} versions, and the machine's ${shadow?.versions}`,
      );
    }
    return { versions: shadow.versions, steps: shadow.steps };
  } catch (error) {
    if (error instanceof Violation) error.message = `Seed ${seed}: ${error.message}`;
    throw error;
  }
}

const SIZES: readonly (readonly [processes: number, commits: number, states: number])[] = [
  [2, 2, 900],
  [3, 1, 4000],
];

describe('the commit protocol as a machine, in every state that it can reach', () => {
  it.each(SIZES)('keeps its promises: %i processes, %i commits each', (processes, commits, states) => {
    const check = checkProtocol(new Protocol(), processes, commits);
    expect(check.violation).toBeUndefined();
    expect(check.states).toBeGreaterThan(states);
  });

  describe.each(Object.entries(PROTOCOL_MUTANTS))('with %s', (_, steps) => {
    it.each(SIZES)('breaks one: %i processes, %i commits each', (processes, commits) => {
      expect(checkProtocol(new Protocol(steps), processes, commits).violation).toBeInstanceOf(Violation);
    });
  });
});

describe("the store's own code", () => {
  it.each([
    [2, 2],
    [3, 1],
    [3, 2],
  ])(
    'does what the machine does, and nothing else: %i processes, %i commits each',
    async (processes, commits) => {
      let [versions, steps] = [0, 0];
      for (let seed = 1; seed <= 60; seed++) {
        const race = { processes, commits, warm: seed % 2 === 0, tries: 5 };
        const walked = await walkAlong(seed, race);
        versions += walked.versions;
        steps += walked.steps;
      }
      // Each version takes seven steps, and some are lost on the way.
      expect(versions).toBeGreaterThan(100);
      expect(steps).toBeGreaterThan(versions * 6);
    },
  );

  it.each(Object.entries(ORDER_MUTANTS))('is caught doing something else: %s', async (_, mutation) => {
    const walk = async (): Promise<void> => {
      for (let seed = 1; seed <= 60; seed++) {
        await walkAlong(seed, { processes: 2, commits: 2, warm: false, tries: 5, mutation });
      }
    };
    await expect(walk()).rejects.toThrow(/^Seed \d+: p\d /);
  });
});
