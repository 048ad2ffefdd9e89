import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { afterEach, describe, expect, it } from '@jest/globals';
import { Offset } from '../../lib/offset.js';
import type { OffsetStore } from '../../lib/offset-store.js';
import { InMemoryOffsetStore } from '../../lib/stores/memory.js';
import { type StoreContractOptions, testOffsetStore } from '../../lib/testing/index.js';
import { EVERY_CAPABILITY } from '../support/every-capability.js';
import { BROKEN_STORES } from './broken-stores.js';
import { collect } from './collect.js';
import { type Disk, DiskStore } from './disk-store.js';

type Options<S extends OffsetStore> = Omit<StoreContractOptions<S>, 'test'>;

const over = (Store: new (disk?: Disk) => DiskStore): Options<DiskStore> => ({
  name: 'store',
  create: () => new Store(),
  reopen: (store) => new Store(store.disk),
  another: (store) => new Store(store.disk),
  capabilities: EVERY_CAPABILITY,
});

/** The least that is a store: five methods, no epochs. */
function leastStore(): OffsetStore {
  const inner = new InMemoryOffsetStore();
  return {
    get: (source) => inner.get(source),
    commit: (source, offset, options) => inner.commit(source, offset, options),
    getAll: () => inner.getAll(),
    clear: (source) => inner.clear(source),
    clearAll: () => inner.clearAll(),
  };
}

describe('the conformance suite', () => {
  it('has nothing against a store that holds the contract, and skips nothing of it', async () => {
    const { failed, skipped, passed } = await collect(over(DiskStore));
    expect([...failed.entries()]).toEqual([]);
    expect(skipped).toEqual([]);
    expect(passed.length).toBeGreaterThan(130);
    expect(new Set(passed).size).toBe(passed.length);
  });

  it('has nothing against a store of five methods, and skips what it does not declare', async () => {
    const { failed, skipped, passed } = await collect({ name: 'least', create: leastStore });
    expect([...failed.entries()]).toEqual([]);
    expect(passed).toContain('get, commit, getAll: a later commit replaces an earlier one');
    expect(skipped).toContain(
      'claim: claim() gives a new epoch each time (the store has no claim, no epoch)',
    );
    expect(skipped).toContain('persistence: commitMany() lasts (the store has no reopen, no commitMany)');
  });

  it.each(BROKEN_STORES)('finds the store that $flaw', async ({ promise, Store }) => {
    const { failed } = await collect(over(Store), promise);
    expect([...failed.keys()]).toEqual([promise]);
  });

  it('runs under node:test, and shows there what it skips', async () => {
    const { stdout } = await promisify(execFile)(
      process.execPath,
      ['--import', 'tsx', '--test', '--test-reporter=tap', 'spec/support/store-contract.node-test.ts'],
      // Else node:test takes itself for the child of another run, and reports in another format.
      { env: { ...process.env, NODE_TEST_CONTEXT: undefined } },
    );
    expect(stdout).toMatch(/^# fail 0$/m);
    expect(Number(/^# pass (\d+)$/m.exec(stdout)?.[1])).toBeGreaterThan(110);
    expect(stdout).toMatch(/# skipped [1-9]/);
    expect(stdout).toContain('what one commits the other reads (the store has no another) # SKIP');
  });
});

describe('the declared capabilities', () => {
  it('fail when a method was declared and is not there', async () => {
    const { failed } = await collect({ name: 'least', create: leastStore, capabilities: { claim: true } });
    expect(failed.get('capabilities: claim() is there, as declared')?.message).toBe(
      'claim() is not there and was declared in capabilities',
    );
    expect(failed.get('claim: a claimed source without an offset is in no listing')?.message).toBe(
      'Expected the declared method claim() to be there',
    );
  });

  it('fail when a method is there and was not declared', async () => {
    const { failed } = await collect({
      ...over(DiskStore),
      capabilities: { ...EVERY_CAPABILITY, commitMany: undefined, reset: false },
    });
    expect([...failed].map(([title, { message }]) => [title, message])).toEqual([
      [
        'capabilities: commitMany() is not there, as declared',
        'commitMany() is there and was not declared in capabilities',
      ],
      [
        'capabilities: reset() is not there, as declared',
        'reset() is there and was not declared in capabilities',
      ],
    ]);
  });

  it('fail when a store has claims and no epoch()', async () => {
    const { failed } = await collect({
      name: 'store',
      create: () => Object.assign(leastStore(), { claim: async () => 1 }),
      capabilities: { claim: true },
    });
    expect(failed.get('capabilities: a store that shows or raises epochs has epoch()')?.message).toBe(
      'Expected epoch() to be there, since claim() is',
    );
  });
});

describe('what a failing store is told', () => {
  it.each([
    [
      'get, commit, getAll: a later commit replaces an earlier one',
      'keeps the first offset',
      'Expected get("orders") to give seq:9, got seq:5',
    ],
    [
      'never backwards: a commit behind is refused with OFFSET_BEHIND and changes nothing',
      'goes backwards',
      'Expected commit() behind to reject with InvalidOffsetError OFFSET_BEHIND, but it resolved to undefined',
    ],
    [
      'source names: commit() refuses what is no name with a TypeError or RangeError, by a rejection, and changes nothing',
      'throws at once',
      'Expected commit with the name "" to reject with TypeError or RangeError, but it threw at once: RangeError ERR_OUT_OF_RANGE:',
    ],
    [
      'inspect: inspect() gives offset, epoch and metadata',
      'loses metadata',
      'Expected inspect("orders") to give epoch 0, seq:5, metadata { "host": "a" }, got epoch 0, seq:5, metadata undefined',
    ],
  ])('%s', async (title, flaw, message) => {
    const broken = BROKEN_STORES.find((store) => store.flaw === flaw);
    if (broken === undefined) throw new Error(`No store that ${flaw}`);
    const { failed } = await collect(over(broken.Store), title);
    expect(failed.get(title)?.message).toContain(message);
  });
});

describe('the stores of a test', () => {
  it('are closed, and their data destroyed, however the test ends', async () => {
    let made = 0;
    const closed = new Set<OffsetStore>();
    const destroyed: OffsetStore[] = [];
    class Watched extends DiskStore {
      override async get(): Promise<Offset | undefined> {
        throw new Error('unreadable');
      }
      override async close(): Promise<void> {
        closed.add(this);
        await super.close();
      }
    }
    const { failed } = await collect({
      ...over(Watched),
      create: () => {
        made += 1;
        return new Watched();
      },
      destroy(store) {
        expect(closed).toContain(store);
        destroyed.push(store);
      },
    });
    expect(failed.size).toBeGreaterThan(10);
    expect(destroyed).toHaveLength(made);
    expect(new Set(destroyed).size).toBe(made);
  });

  it('show the failure of the test, not that of tidying up after it', async () => {
    const { failed } = await collect({
      ...over(DiskStore),
      create: () => {
        throw new Error('cannot be made');
      },
      destroy: () => {
        throw new Error('cannot be destroyed');
      },
    });
    expect(new Set([...failed.values()].map(({ message }) => message))).toEqual(new Set(['cannot be made']));
    const untidy = await collect({
      name: 'least',
      create: leastStore,
      destroy: () => {
        throw new Error('cannot be destroyed');
      },
    });
    expect(untidy.passed).toEqual([]);
    expect(new Set([...untidy.failed.values()].map(({ message }) => message))).toEqual(
      new Set(['cannot be destroyed']),
    );
  });
});

describe('testOffsetStore()', () => {
  const globals = globalThis as { describe?: unknown; it?: unknown };
  const { describe: globalDescribe, it: globalIt } = globals;
  afterEach(() => {
    Object.assign(globals, { describe: globalDescribe, it: globalIt });
  });

  it('takes the global test functions where none are given', () => {
    const titles: string[] = [];
    Object.assign(globals, {
      describe: (_: string, body: () => void) => {
        body();
      },
      it: (title: string) => titles.push(title),
    });
    testOffsetStore({ name: 'least', create: leastStore });
    expect(titles).toContain('the five methods are there');
    // This one has no it.skip: what does not apply is not registered.
    expect(titles.some((title) => title.includes('the store has no'))).toBe(false);
  });

  it('says what to pass where there are none', () => {
    Object.assign(globals, { describe: undefined, it: undefined });
    expect(() => testOffsetStore({ name: 'least', create: leastStore })).toThrow(
      /^Expected `test` to be \{ describe, it \} of your test framework/,
    );
  });

  it.each([
    [undefined, /`options` to be an object/],
    [null, /`options` to be an object/],
    [{ create: leastStore }, /`name` to be a string/],
    [{ name: 'least' }, /`create` to be a function/],
    [{ name: 'least', create: leastStore, reopen: 5 }, /`reopen` to be a function/],
    [{ name: 'least', create: leastStore, capabilities: ['claim'] }, /`capabilities` to be an object/],
    [
      { name: 'least', create: leastStore, capabilities: { fly: true } },
      /`capabilities` to name some of commitMany/,
    ],
  ])('refuses the options %j', (options, message) => {
    expect(() => testOffsetStore(options as unknown as StoreContractOptions)).toThrow(TypeError);
    expect(() => testOffsetStore(options as unknown as StoreContractOptions)).toThrow(message);
  });
});
