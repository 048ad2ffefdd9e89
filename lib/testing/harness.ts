/** What runs one promise of the contract against a fresh store: options, skips, opening and tidying up. */
import assert from 'node:assert/strict';
import type { OffsetStore } from '../offset-store.js';
import { argumentTypeError, assertOptions } from '../validate.js';

/** The optional methods of a store, by name. */
export type StoreCapability = 'commitMany' | 'inspect' | 'inspectAll' | 'epoch' | 'reset' | 'claim' | 'close';

/** All of them. */
export const CAPABILITIES: readonly StoreCapability[] = [
  'commitMany',
  'inspect',
  'inspectAll',
  'epoch',
  'reset',
  'claim',
  'close',
];

/** The two functions of the test framework that the suite needs, by shape: those of jest, vitest and node:test fit. */
export interface StoreTestFunctions {
  /** Groups the tests that the body registers. */
  readonly describe: (title: string, body: () => void) => unknown;
  /** Registers a test, which fails when its promise rejects. */
  readonly it: ((title: string, body: () => Promise<void>) => unknown) & {
    /** Shows the tests that do not apply. Where it is missing they are not registered. */
    readonly skip?: (title: string, body: () => Promise<void>) => unknown;
  };
}

/** What {@link testOffsetStore} is told about a store. */
export interface StoreContractOptions<S extends OffsetStore = OffsetStore> {
  /** The store's name, for the titles. */
  readonly name: string;
  /** A store over data that nobody else uses and that is empty. Called once for each test. */
  readonly create: () => S | Promise<S>;
  /**
   * Removes the data of the store that `create()` made: the end of each test, however it ended. Every store
   * over that data was closed before, where it has `close()`.
   */
  readonly destroy?: ((store: S) => void | Promise<void>) | undefined;
  /**
   * A store over the data of the one that `create()` made, which was closed just now: a restart. Without it the
   * tests of persistence are skipped.
   */
  readonly reopen?: ((store: S) => S | Promise<S>) | undefined;
  /**
   * A second store over the data of the one that `create()` made, which stays open: another process. Without
   * it the tests of several instances are skipped.
   */
  readonly another?: ((store: S) => S | Promise<S>) | undefined;
  /**
   * The optional methods that the store has. Checked both ways: a declared one that is missing fails, and so
   * does one that is there undeclared. The tests of those not declared are skipped. Default: none.
   */
  readonly capabilities?: { readonly [name in StoreCapability]?: boolean | undefined } | undefined;
  /** What registers the tests: `describe` and `it` of the test framework. Default: the global ones. */
  readonly test?: StoreTestFunctions | undefined;
}

/** What a test may ask for; where the store has not got it, the test is skipped. */
type Need = StoreCapability | 'reopen' | 'another';

/** A store with the methods that a test asked for. */
type Having<N extends Need> = OffsetStore & Required<Pick<OffsetStore, Extract<N, StoreCapability>>>;

/** What a test can do beside using its store. */
interface Scene<N extends Need> {
  /** Closes the store and opens one over the same data. */
  readonly reopen: () => Promise<Having<N>>;
  /** Opens a second store over the same data. */
  readonly another: () => Promise<Having<N>>;
}

/** Registers the tests of one store. */
export interface Harness {
  readonly capabilities: ReadonlySet<StoreCapability>;
  group(title: string, body: () => void): void;
  /** One sentence of the contract, tried on a fresh store. */
  promise<N extends Need = never>(
    title: string,
    needs: readonly N[],
    body: (store: Having<N>, scene: Scene<N>) => Promise<void>,
  ): void;
}

/** Checks the options, and gives what registers tests. */
export function harness<S extends OffsetStore>(options: StoreContractOptions<S>): Harness {
  if (options === undefined) throw argumentTypeError('`options` to be an object', options);
  assertOptions('options', options);
  const { name, create, capabilities = {} } = options;
  if (typeof name !== 'string') throw argumentTypeError('`name` to be a string', name);
  if (typeof create !== 'function') throw argumentTypeError('`create` to be a function', create);
  for (const optional of ['destroy', 'reopen', 'another'] as const) {
    const given = options[optional];
    if (given !== undefined && typeof given !== 'function') {
      throw argumentTypeError(`\`${optional}\` to be a function`, given);
    }
  }
  assertOptions('capabilities', capabilities);
  for (const capability of Object.keys(capabilities)) {
    if (!CAPABILITIES.includes(capability as StoreCapability)) {
      throw argumentTypeError(`\`capabilities\` to name some of ${CAPABILITIES.join(', ')}`, capability);
    }
  }
  const { describe, it } = options.test ?? globalTestFunctions();
  const declared = new Set(CAPABILITIES.filter((capability) => capabilities[capability] === true));

  return {
    capabilities: declared,
    group(title, body) {
      describe(title, body);
    },
    promise(title, needs, body) {
      const missing = needs.filter((need: Need) =>
        need === 'reopen' || need === 'another' ? options[need] === undefined : !declared.has(need),
      );
      const run = (): Promise<void> => runOnFreshStore(options, needs, body);
      if (missing.length === 0) it(title, run);
      else it.skip?.(`${title} (the store has no ${missing.join(', no ')})`, run);
    },
  };
}

function globalTestFunctions(): StoreTestFunctions {
  const { describe, it } = globalThis as Partial<StoreTestFunctions>;
  if (describe === undefined || it === undefined) {
    throw argumentTypeError(
      '`test` to be { describe, it } of your test framework, for there are no global ones',
      undefined,
    );
  }
  return { describe, it };
}

async function runOnFreshStore<S extends OffsetStore, N extends Need>(
  options: StoreContractOptions<S>,
  needs: readonly N[],
  body: (store: Having<N>, scene: Scene<N>) => Promise<void>,
): Promise<void> {
  const first = await options.create();
  const opened: S[] = [first];

  const having = (store: S): Having<N> => {
    for (const need of needs) {
      if (need === 'reopen' || need === 'another') continue;
      const capability: StoreCapability = need;
      assert.ok(
        typeof store[capability] === 'function',
        `Expected the declared method ${capability}() to be there`,
      );
    }
    return store as unknown as Having<N>;
  };
  const open = async (how: 'reopen' | 'another'): Promise<Having<N>> => {
    const opening = options[how];
    assert.ok(opening !== undefined, `The test has to ask for ${how}`);
    const store = await opening(first);
    opened.push(store);
    return having(store);
  };

  let failure: { readonly error: unknown } | undefined;
  try {
    await body(having(first), {
      another: () => open('another'),
      async reopen() {
        await closeAll(opened.splice(0));
        return await open('reopen');
      },
    });
  } catch (error) {
    failure = { error };
  }
  try {
    await closeAll(opened);
  } catch (error) {
    failure ??= { error };
  }
  try {
    await options.destroy?.(first);
  } catch (error) {
    failure ??= { error };
  }
  if (failure !== undefined) throw failure.error;
}

async function closeAll(stores: readonly OffsetStore[]): Promise<void> {
  const results = await Promise.allSettled(stores.map(async (store) => store.close?.()));
  for (const result of results) if (result.status === 'rejected') throw result.reason;
}
