import { afterAll, beforeAll, expect, it } from '@jest/globals';
import {
  type BreakIn,
  changing,
  ERRORS,
  failAt,
  findBreakIns,
  killAt,
  lieAt,
} from '../../../support/fire-breakin.js';
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

  it('leave the old or the new file when SIGKILL comes at any call that changes something', async () => {
    const cases = changing(breakIns);
    const deaths = await killAt(crew, cases);
    printFigures('SIGKILL at each changing call of the system', { cases: cases.length, ...deaths });
    expect(deaths.old + deaths.new).toBe(cases.length);
    expect(deaths.old).toBeGreaterThan(cases.length / 2);
    expect(deaths.new).toBeGreaterThan(0);
  }, 120_000);

  it('reject with a typed error, or succeed, when a call of the system fails once: some of them', async () => {
    const cases = breakIns.filter((_, index) => index % 5 === 0);
    const failures = await failAt(crew, cases, (index) => ERRORS[index % ERRORS.length] ?? 'EIO');
    printFigures('one error at a call of the system', { cases: cases.length, ...failures });
    expect(failures.old).toBeGreaterThan(0);
  }, 120_000);

  it('say that nobody knows when only the flush of the directory fails', async () => {
    const cases = breakIns
      .filter(({ name, scene }) => name === 'fsync' && scene.operation === 'update')
      .slice(-1);
    expect(await failAt(crew, cases, () => 'EIO')).toEqual({ old: 0, new: 0, unknown: 1 });
  }, 30_000);

  it('install nothing of what a write only claims to have written', async () => {
    const cases = breakIns.filter(({ name }) => name === 'pwrite64');
    expect(await lieAt(crew, cases, 100)).toEqual({ old: cases.length, new: 0, unknown: 0 });
  }, 30_000);
});
