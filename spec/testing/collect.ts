import type { OffsetStore } from '../../lib/offset-store.js';
import { type StoreContractOptions, testOffsetStore } from '../../lib/testing/index.js';

/** What came of a run of the suite; titles are `group: title`. */
export interface Collected {
  readonly passed: readonly string[];
  readonly skipped: readonly string[];
  readonly failed: ReadonlyMap<string, Error>;
}

/**
 * Runs the suite, or the one test of it with that title, with the smallest test framework there can be: it
 * collects, then runs one by one.
 */
export async function collect<S extends OffsetStore>(
  options: Omit<StoreContractOptions<S>, 'test'>,
  only?: string,
): Promise<Collected> {
  const tests: Array<readonly [string, () => Promise<void>]> = [];
  const passed: string[] = [];
  const skipped: string[] = [];
  const failed = new Map<string, Error>();
  const groups: string[] = [];
  const titled = (title: string): string => `${groups.at(-1)}: ${title}`;

  testOffsetStore({
    ...options,
    test: {
      describe(title, body) {
        groups.push(title);
        body();
        groups.pop();
      },
      it: Object.assign(
        (title: string, body: () => Promise<void>): void => {
          tests.push([titled(title), body]);
        },
        {
          skip(title: string): void {
            skipped.push(titled(title));
          },
        },
      ),
    },
  });

  for (const [title, run] of tests) {
    if (only !== undefined && title !== only) continue;
    try {
      await run();
      passed.push(title);
    } catch (error) {
      failed.set(title, error as Error);
    }
  }
  return { passed, skipped, failed };
}
