// Mutation testing: every changed expression in these files has to make a test fail. It takes long, and is no part of
// the suite. `npm run test:mutants` does all of it; `MUTANTS=values npm run test:mutants` one group, and
// `MUTANTS=tracker npm run test:mutants -- --mutate lib/tracker/watermark.ts` one file of a group.

/**
 * What is mutated, and the specs that judge. Left out are specs whose subject runs in child processes, where no mutant
 * is switched on, and those that explore so much that thousands of mutants would take days. A module that is loaded
 * within a test has its constants judged by that test alone, so one spec of a group imports each file directly.
 */
const GROUPS = {
  values: {
    mutate: ['lib/{offset,commit-strategy,metadata,validate,backoff}.ts', 'lib/stores/commit-rules.ts'],
    specs: ['*.spec.ts', 'stores/*.spec.ts'],
  },
  tracker: {
    mutate: [
      'lib/tracker/{watermark,deliveries,call-queue,committer,waiters,learn,store-caller,offset-tracker}.ts',
    ],
    specs: ['tracker/!(*-model).spec.ts'],
  },
  format: {
    mutate: ['lib/stores/file/{codec,entries,crate}.ts'],
    specs: ['stores/file/{codec,entries,crate}.spec.ts'],
  },
  file: {
    mutate: ['lib/stores/file/!(codec|entries|crate|machinery|runtime).ts'],
    specs: ['stores/file/{file-store,refusals,replace,steps,rounds,lock,salvage}.spec.ts'],
  },
};

const name = process.env.MUTANTS;
if (name !== undefined && !Object.hasOwn(GROUPS, name)) {
  throw new Error(`Expected MUTANTS to be one of ${Object.keys(GROUPS).join(', ')}, got ${name}`);
}
const groups = name === undefined ? Object.values(GROUPS) : [GROUPS[name]];

export default {
  mutate: groups.flatMap((group) => group.mutate),
  testRunner: 'jest',
  plugins: ['@stryker-mutator/jest-runner'],
  jest: {
    configFile: 'jest.config.ts',
    config: {
      testMatch: groups.flatMap((group) => group.specs.map((spec) => `<rootDir>/spec/${spec}`)),
      watchman: false,
      // A mutant that hangs is noticed by the first test that waits for it.
      testEnvironment: './spec/support/fail-fast-environment.cjs',
      testTimeout: 5000,
    },
    // Which tests reach a mutant is known from the first run; to search the imports again would only take time.
    enableFindRelatedTests: false,
  },
  coverageAnalysis: 'perTest',
  concurrency: 1,
  // A mutant is not to be called detected because the machine was busy.
  timeoutMS: 20_000,
  timeoutFactor: 3,
  tempDirName: 'coverage/mutants',
  ignorePatterns: ['dist', 'coverage', 'benchmarks', 'docs'],
  reporters: ['clear-text', 'progress-append-only', 'json'],
  clearTextReporter: { allowColor: false, reportTests: false },
  jsonReporter: { fileName: 'coverage/mutants.json' },
  thresholds: { high: 95, low: 85, break: 85 },
};
