import { beforeAll, describe, expect, it } from '@jest/globals';
import { cellName, Crew, type Violations } from '../support/endings-crew.js';
import { FORMS } from '../support/endings-forms.js';
import { STRATEGIES } from '../support/endings-process.js';
import { Random } from '../support/fire-random.js';

// Each process runs every form under every strategy; each test looks at what one of them left.
let violations: Violations;
beforeAll(async () => {
  violations = await new Crew(FORMS, new Random(20_261_123)).run(['SIGKILL', 'SIGTERM']);
}, 120_000);

describe.each(FORMS.map((form) => [form.name, form] as const))('%s', (_name, form) => {
  for (const [strategy] of STRATEGIES) {
    for (const ending of ['SIGTERM', 'SIGKILL', 'restart'] as const) {
      const name = cellName(form, ending, strategy);
      it(name, () => {
        expect(violations.get(name)).toEqual([]);
      });
    }
  }
});
