import { expect, it } from '@jest/globals';
import { ERRORS, failAt, killAt } from '../../../support/fire-breakin.js';
import { printFigures } from '../../../support/fire-random.js';
import { describeBreakIns } from '../../../support/fire-system-calls.js';

describeBreakIns((broken) => {
  it('leave the old or the new file when SIGKILL comes at any call of the system', async () => {
    const { crew, breakIns } = broken;
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
      const { crew, breakIns } = broken;
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
