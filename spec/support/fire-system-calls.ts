import { afterAll, beforeAll } from '@jest/globals';
import { type BreakIn, findBreakIns } from './fire-breakin.js';
import { Crew, removeWorkerBundle } from './fire-crew.js';
import { needs } from './fire-gate.js';

/** What the tests break into: there once they run. */
export interface Broken {
  readonly crew: Crew;
  /** Every call of the system that every operation makes. */
  readonly breakIns: readonly BreakIn[];
}

/** `describe` for tests that break into the operations at their calls of the system. */
export function describeBreakIns(tests: (broken: Broken) => void): void {
  needs({ root: true, command: 'strace' })('create, update, reset, recover and upgrade', () => {
    const broken = {} as { -readonly [Part in keyof Broken]: Broken[Part] };

    beforeAll(async () => {
      broken.crew = await Crew.gather();
      broken.breakIns = await findBreakIns(broken.crew);
    }, 30_000);

    afterAll(async () => {
      await broken.crew[Symbol.asyncDispose]();
      await removeWorkerBundle();
    });

    tests(broken);
  });
}
