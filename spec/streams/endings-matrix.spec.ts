import { describe, expect, it } from '@jest/globals';
import { cellsOf, outcomeOf } from '../support/endings-cells.js';
import { FORMS } from '../support/endings-forms.js';

describe.each(FORMS.map((form) => [form.name, form] as const))('%s', (_name, form) => {
  for (const cell of cellsOf([form])) {
    const { ending, bounded, hangs } = cell;
    const name = `${ending.name}, ${bounded.name}${hangs ? ', from then on the store does not answer' : ''}`;
    it(name, async () => {
      expect((await outcomeOf(cell)).violations).toEqual([]);
    });
  }
});
