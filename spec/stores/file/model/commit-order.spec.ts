import { beforeAll, describe, expect, it } from '@jest/globals';
import { FileOffsetStore } from '../../../../lib/stores/file/file-store.js';
import { buildRace, noticeable, RACE_PATH, type RaceOptions } from '../../../support/sim-commit-race.js';
import { type Exploration, explore, type Scenario } from '../../../support/sim-explore.js';
import type { SimDisk } from '../../../support/sim-fs.js';
import { FLUSH_MUTANTS, ORDER_MUTANTS } from '../../../support/sim-mutants.js';
import { Oracle, Violation } from '../../../support/sim-oracle.js';
import { settled } from '../../../support/sim-world.js';
import { ProtocolShadow } from './protocol.js';

beforeAll(() => Oracle.prepare());

/** Whoever comes when the others are done or dead commits at the first try, whatever they have left. */
async function commitLate({ world, oracle }: Scenario): Promise<void> {
  const source = 'late';
  const late = world.start(async (process) => {
    const lock = { lock: async () => async () => {} };
    const store = new FileOffsetStore(RACE_PATH, { ...process.storeOptions(), lock, lockTimeoutMs: 1 });
    await store.commit(source, 1);
    oracle.acknowledge(source, { epoch: 0, offset: 1n });
    await store.close();
  });
  await settled();
  while (late.state === 'running') {
    const [call] = late.pending;
    if (call === undefined) throw new Violation('One that came late waits for nothing');
    await world.open(call);
    oracle.check();
    if (call.name === 'unlink' && call.process.sleeps > 0) throw new Violation('One alone had to try again');
  }
}

/** Every schedule of the race, with so many crashes at any place. */
async function search(race: RaceOptions, crashes: number, shadowed: boolean): Promise<Exploration> {
  let disk: SimDisk | undefined;
  return await explore({
    async build(onCall) {
      let shadow: ProtocolShadow | undefined;
      const scenario = await buildRace({
        ...race,
        onCall(call, outcome, disk) {
          onCall(call, outcome);
          if (!shadowed || call.process.id >= race.processes) return;
          shadow ??= new ProtocolShadow(disk, RACE_PATH, race.processes);
          shadow.onCall(call, outcome);
        },
      });
      ({ disk } = scenario);
      return scenario;
    },
    visible: (call) => disk !== undefined && noticeable(disk, call),
    crashes,
    atEnd: commitLate,
    maxRuns: 100_000,
  });
}

describe('every schedule of two processes that commit', () => {
  it.each([
    ['to a file that is not there yet', false, 0, 700],
    ['to a file that both hold open, with a crash of either at every step', true, 1, 1400],
  ])(
    'keeps every promise: %s',
    async (_, warm, crashes, least) => {
      const race = { processes: 2, commits: 1, warm, tries: 2 };
      const { violation, states } = await search(race, crashes, true);
      expect(violation).toBeUndefined();
      // Fewer would say that the search has lost its way.
      expect(states).toBeGreaterThan(least);
    },
    60_000,
  );
});

describe('the search finds out a protocol with', () => {
  it.each(Object.entries(ORDER_MUTANTS))('%s: one undoes what another did', async (_, mutation) => {
    for (const warm of [false, true]) {
      const race = { processes: 2, commits: 1, warm, tries: 2, mutation };
      const { violation } = await search(race, 0, false);
      expect(violation?.error.message).toContain('its writer had not read what it replaced');
    }
  });

  it.each(Object.entries(FLUSH_MUTANTS))(
    '%s: a power loss takes what was acknowledged',
    async (_, mutation) => {
      const race = { processes: 2, commits: 1, warm: false, tries: 2, mutation };
      const { violation } = await search(race, 0, false);
      expect(violation?.error.message).toMatch(/^After a power loss now, the file (?:has|could hold bytes)/);
    },
  );
});
