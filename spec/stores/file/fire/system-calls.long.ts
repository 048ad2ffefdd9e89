import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { type BreakIn, ERRORS, failAt, findBreakIns, killAt } from '../../../support/fire-breakin.js';
import { Crew, removeWorkerBundle } from '../../../support/fire-crew.js';
import { needs } from '../../../support/fire-gate.js';
import { printFigures } from '../../../support/fire-random.js';

const describe = needs({ root: true, command: 'strace' });

describe('create, update, reset, recover and upgrade', () => {
  let crew: Crew;
  let breakIns: BreakIn[];

  beforeAll(async () => {
    crew = await Crew.gather();
    breakIns = await findBreakIns(crew);
  }, 30_000);

  afterAll(async () => {
    await crew[Symbol.asyncDispose]();
    await removeWorkerBundle();
  });

  it('leave the old or the new file when SIGKILL comes at any call of the system', async () => {
    const start = performance.now();
    const deaths = await killAt(crew, breakIns);
    printFigures('SIGKILL at each call of the system', {
      cases: breakIns.length,
      ...deaths,
      seconds: Math.round((performance.now() - start) / 1000),
    });
    expect(deaths.old + deaths.new).toBe(breakIns.length);
  }, 600_000);

  it.each(ERRORS)(
    'reject with a typed error, or succeed, when any call of the system fails once with %s',
    async (error) => {
      const start = performance.now();
      const failures = await failAt(crew, breakIns, () => error);
      printFigures(`${error} at each call of the system`, {
        cases: breakIns.length,
        ...failures,
        seconds: Math.round((performance.now() - start) / 1000),
      });
      expect(failures.old + failures.new + failures.unknown).toBe(breakIns.length);
    },
    600_000,
  );
});
