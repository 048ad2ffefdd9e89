import { expect, it } from '@jest/globals';
import { changing, ERRORS, failAt, killAt, lieAt } from '../../../support/fire-breakin.js';
import { printFigures } from '../../../support/fire-random.js';
import { describeBreakIns } from '../../../support/fire-system-calls.js';

describeBreakIns((broken) => {
  it('leave the old or the new file when SIGKILL comes at any call that changes something', async () => {
    const { crew, breakIns } = broken;
    const cases = changing(breakIns);
    const deaths = await killAt(crew, cases);
    printFigures('SIGKILL at each changing call of the system', { cases: cases.length, ...deaths });
    expect(deaths.old + deaths.new).toBe(cases.length);
    expect(deaths.old).toBeGreaterThan(cases.length / 2);
    expect(deaths.new).toBeGreaterThan(0);
  }, 120_000);

  it('reject with a typed error, or succeed, when a call of the system fails once: some of them', async () => {
    const { crew, breakIns } = broken;
    const cases = breakIns.filter((_, index) => index % 5 === 0);
    const failures = await failAt(crew, cases, (index) => ERRORS[index % ERRORS.length] ?? 'EIO');
    printFigures('one error at a call of the system', { cases: cases.length, ...failures });
    expect(failures.old).toBeGreaterThan(0);
  }, 120_000);

  it('say that nobody knows when only the flush of the directory fails', async () => {
    const { crew, breakIns } = broken;
    const cases = breakIns
      .filter(({ name, scene }) => name === 'fsync' && scene.operation === 'update')
      .slice(-1);
    expect(await failAt(crew, cases, () => 'EIO')).toEqual({ old: 0, new: 0, unknown: 1 });
  }, 30_000);

  it('install nothing of what a write only claims to have written', async () => {
    const { crew, breakIns } = broken;
    const cases = breakIns.filter(({ name }) => name === 'pwrite64');
    expect(await lieAt(crew, cases, 100)).toEqual({ old: cases.length, new: 0, unknown: 0 });
  }, 30_000);
});
