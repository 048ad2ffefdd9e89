import type { OffsetStore } from '../offset-store.js';
import { harness, type StoreContractOptions } from './harness.js';
import { capabilities } from './promises/capabilities.js';
import { copies, inspection, metadata } from './promises/checkpoints.js';
import { closing } from './promises/closing.js';
import { many } from './promises/commit-many.js';
import { basics, kinds, order } from './promises/commits.js';
import { concurrency, instances } from './promises/concurrency.js';
import { claims, clearing, epochs, resets } from './promises/epochs.js';
import { names } from './promises/names.js';
import { persistence } from './promises/persistence.js';

/**
 * Registers the tests of the {@link OffsetStore} contract for a store: one for each sentence of it, each on a
 * fresh store. Works with any framework that has `describe` and `it`; assertions come from `node:assert`.
 *
 * @example
 * ```ts
 * import { describe, it } from 'node:test'; // or '@jest/globals', or 'vitest'
 *
 * testOffsetStore({
 *   name: 'MyOffsetStore',
 *   test: { describe, it },
 *   create: () => new MyOffsetStore(mkdtempSync(join(tmpdir(), 'offsets-'))),
 *   destroy: (store) => rmSync(store.folder, { recursive: true }),
 *   reopen: (store) => new MyOffsetStore(store.folder),
 *   another: (store) => new MyOffsetStore(store.folder),
 *   capabilities: { commitMany: true, inspect: true, epoch: true, close: true },
 * });
 * ```
 * @throws TypeError for options that are wrong, and where there are no test functions
 */
export function testOffsetStore<S extends OffsetStore>(options: StoreContractOptions<S>): void {
  const suite = harness(options);
  suite.group(`${options.name} holds the OffsetStore contract`, () => {
    suite.group('capabilities', () => capabilities(suite));
    suite.group('get, commit, getAll', () => basics(suite));
    suite.group('clear, clearAll', () => clearing(suite));
    suite.group('kinds of offsets', () => kinds(suite));
    suite.group('source names', () => names(suite));
    suite.group('never backwards', () => order(suite));
    suite.group('epochs', () => epochs(suite));
    suite.group('reset', () => resets(suite));
    suite.group('claim', () => claims(suite));
    suite.group('inspect', () => inspection(suite));
    suite.group('metadata', () => metadata(suite));
    suite.group('copies', () => copies(suite));
    suite.group('commitMany', () => many(suite));
    suite.group('concurrency within a process', () => concurrency(suite));
    suite.group('persistence', () => persistence(suite));
    suite.group('several instances', () => instances(suite));
    suite.group('close', () => closing(suite));
  });
}
