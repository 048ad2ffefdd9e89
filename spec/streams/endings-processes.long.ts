import { expect, it } from '@jest/globals';
import { Crew, type Signal } from '../support/endings-crew.js';
import { FORMS } from '../support/endings-forms.js';
import { amount, Random } from '../support/fire-random.js';

const ROUNDS = amount('ENDINGS_ROUNDS', 20);

it.each(FORMS.map((form) => [form.name, form] as const))(
  `%s: ${ROUNDS} processes, killed and terminated in turn, under every strategy`,
  async (_name, form) => {
    const random = new Random();
    const signals = Array.from({ length: ROUNDS }, (): Signal => random.pick(['SIGKILL', 'SIGTERM']));
    const violations = await new Crew([form], random).run(signals);
    expect([...violations].filter(([, found]) => found.length > 0)).toEqual([]);
  },
  600_000,
);
