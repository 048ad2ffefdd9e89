/**
 * Forms that are wrong in one way each: the checks of the matrix must see it, or they prove nothing of the right ones.
 * (A rejection that nobody handles fails the test in which it happens, by jest itself.)
 */
import { addAbortSignal, Transform, Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { describe, expect, it } from '@jest/globals';
import type { Delivery } from '../../lib/streams/delivery.js';
import { withAcks } from '../../lib/streams/with-acks.js';
import { withOffsets } from '../../lib/streams/with-offsets.js';
import { cellsOf, outcomeOf } from '../support/endings-cells.js';
import {
  type Form,
  type FormRun,
  FORMS,
  optionsOf,
  sink,
  sourceOf,
  whole,
  worked,
} from '../support/endings-forms.js';
import { type Item, SOURCE } from '../support/endings-world.js';

const like = (name: string): Form => FORMS.find((form) => form.name === name)!;
const loop = like('a loop that awaits record()');

/** The loop of one's own, with one thing another. */
function looping(
  change: {
    before?: (run: FormRun, item: Item) => unknown;
    after?: (run: FormRun, item: Item) => unknown;
    inHand?: (run: FormRun, item: Item) => unknown;
    failed?: (run: FormRun) => unknown;
    rethrows?: false;
    closes?: false;
  } = {},
): Form['run'] {
  const record = (run: FormRun, item: Item): Promise<void> => run.tracker.record(SOURCE, item.offset);
  const { before, after = record, inHand, failed, rethrows, closes } = change;
  return async (run) => {
    const source = sourceOf(run);
    run.destroy = (error) => source.destroy(error);
    addAbortSignal(run.option.signal, source);
    let failure: { error: unknown } | undefined;
    try {
      for await (const item of source as AsyncIterable<Item>) {
        await before?.(run, item);
        await run.work(item);
        if (run.leaves(item)) {
          await inHand?.(run, item);
          break;
        }
        await after(run, item);
      }
    } catch (error) {
      failure = { error };
      await failed?.(run);
    }
    if (closes !== false) {
      await run.beforeClose();
      await run.tracker.close({ timeoutMs: run.closeTimeoutMs }).catch(() => undefined);
    }
    if (failure !== undefined && rethrows !== false) throw failure.error;
  };
}

interface Mutant {
  readonly what: string;
  readonly form: Form;
  /** Where it shows. */
  readonly ending: string;
  readonly strategy?: string;
  readonly hangs?: true;
  readonly violation: RegExp;
}

const MUTANTS: readonly Mutant[] = [
  {
    what: 'withOffsets() stands before the work',
    form: {
      ...like('withOffsets'),
      run: async (run) => {
        const stream = withOffsets(run.tracker, optionsOf(run));
        await whole(
          pipeline(sourceOf(run), stream, (items: AsyncIterable<Item>) => worked(run, items), sink(run)),
          stream,
        );
      },
    },
    ending: 'a throw in the work',
    violation: /^skipped: item \d+ is not done, and \d+ is committed/,
  },
  {
    what: 'nothing is committed when the stream is destroyed',
    form: {
      ...like('withOffsets'),
      run: async (run) => {
        const stream = new Transform({
          objectMode: true,
          transform: (item: Item, _encoding, callback) => {
            run.tracker.record(SOURCE, item.offset).then(() => callback(null, item), callback);
          },
          flush: (callback) => {
            run.tracker.commit(SOURCE).then(() => callback(), callback);
          },
        });
        await whole(
          pipeline(sourceOf(run), (items: AsyncIterable<Item>) => worked(run, items), stream, sink(run)),
          stream,
        );
      },
    },
    ending: 'an upstream error',
    strategy: 'interval',
    violation: /^\d+ items are repeated/,
  },
  {
    what: 'the item in hand is recorded at a break, before its work is done',
    form: {
      ...loop,
      run: looping({
        before: (run, item) => (run.leaves(item) ? run.tracker.record(SOURCE, item.offset) : undefined),
        after: (run, item) => run.tracker.record(SOURCE, item.offset),
      }),
    },
    ending: 'break',
    violation: /^skipped/,
  },
  {
    what: 'an item is recorded before its work',
    form: {
      ...loop,
      run: looping({
        before: (run, item) => run.tracker.record(SOURCE, item.offset),
        after: () => undefined,
      }),
    },
    ending: 'a throw in the work',
    violation: /^skipped/,
  },
  {
    what: 'a delivery is acked before its work',
    form: {
      ...like('withAcks, one after the other'),
      run: async (run) => {
        const stream = withAcks(run.tracker, optionsOf(run));
        const work = async (deliveries: AsyncIterable<Delivery<Item>>): Promise<void> => {
          for await (const delivery of deliveries) {
            await delivery.ack();
            await run.work(delivery.value);
          }
        };
        await whole(pipeline(sourceOf(run), stream, work), stream);
      },
    },
    ending: 'a throw in the work',
    violation: /^skipped/,
  },
  {
    what: 'work side by side is recorded as it ends',
    form: {
      ...loop,
      run: async (run) => {
        const working: Promise<void>[] = [];
        for await (const item of sourceOf(run) as AsyncIterable<Item>) {
          const work = run.work(item, item.id % 4 === 0 ? 8 : 1);
          working.push(work.then(() => run.tracker.record(SOURCE, item.offset).catch(() => undefined)));
          if (working.length === 4) await Promise.all(working.splice(0));
        }
        await Promise.all(working);
        await run.tracker.close();
      },
    },
    ending: 'a clean end',
    violation: /^skipped/,
  },
  {
    what: 'records are not awaited',
    form: { ...loop, run: looping({ after: (run, item) => void run.tracker.record(SOURCE, item.offset) }) },
    ending: 'a clean end',
    violation: /^\d+ items would have been repeated after a crash/,
  },
  {
    what: 'nothing waits for the end of the last commits',
    form: { ...loop, run: looping({ closes: false }) },
    ending: 'a clean end',
    strategy: 'interval',
    violation: /^\d+ items are repeated/,
  },
  {
    what: 'the last commits have no time limit',
    form: {
      ...like('commitOffsets'),
      run: async (run) => {
        const stream = new Writable({
          objectMode: true,
          write: (item: Item, _encoding, callback) => {
            run.tracker.record(SOURCE, item.offset).then(() => callback(), callback);
          },
          destroy: (error, callback) => {
            const done = (): void => callback(error);
            run.tracker.commit(SOURCE).then(done, done);
          },
        });
        await whole(
          pipeline(sourceOf(run), (items: AsyncIterable<Item>) => worked(run, items), stream),
          stream,
        );
      },
    },
    ending: 'an upstream error',
    strategy: 'interval',
    hangs: true,
    violation: /^ended after \d+ ms/,
  },
  {
    what: 'the end never comes',
    form: { ...loop, run: looping({ failed: () => new Promise(() => undefined) }) },
    ending: 'an upstream error',
    violation: /^hangs/,
  },
  {
    what: 'the error is swallowed',
    form: { ...loop, run: looping({ rethrows: false }) },
    ending: 'an upstream error',
    violation: /^saw undefined/,
  },
  {
    what: 'another error takes the place of the original',
    form: { ...loop, run: looping({ failed: () => Promise.reject(new Error('other')) }) },
    ending: 'an upstream error',
    violation: /^saw Error: other/,
  },
  {
    what: 'a listener stays on the signal',
    form: {
      ...loop,
      run: (run) => {
        run.option.signal.addEventListener('abort', () => undefined);
        return looping()(run);
      },
    },
    ending: 'a clean end',
    violation: /^leak: 1 listeners of the signal given/,
  },
  {
    what: 'a listener stays on the tracker',
    form: {
      ...loop,
      run: (run) => {
        run.tracker.onCommit(() => undefined);
        return looping()(run);
      },
    },
    ending: 'a clean end',
    violation: /^leak: 1 listeners of commits/,
  },
  {
    what: 'a timer stays',
    form: {
      ...loop,
      run: (run) => {
        setTimeout(() => undefined, 10_000);
        return looping()(run);
      },
    },
    ending: 'a clean end',
    violation: /^leak: 1 timers/,
  },
  {
    what: 'the source stays open',
    form: {
      ...loop,
      run: async (run) => {
        const items = run.source.iterator({ destroyOnReturn: false }) as AsyncIterable<Item>;
        for await (const item of items) {
          await run.work(item);
          if (run.leaves(item)) break;
          await run.tracker.record(SOURCE, item.offset);
        }
        await run.tracker.close();
      },
    },
    ending: 'break',
    violation: /^leak: 1 source not closed/,
  },
];

describe('the checks of the matrix see that', () => {
  it.each(MUTANTS.map((mutant) => [mutant.what, mutant] as const))('%s', async (_what, mutant) => {
    const { form, ending, strategy = 'periodic(3)', hangs = false, violation } = mutant;
    const cells = cellsOf([form]).filter(
      (cell) => cell.ending.name === ending && cell.bounded.name === strategy && cell.hangs === hangs,
    );
    expect(cells).toHaveLength(1);
    const { violations } = await outcomeOf(cells[0]!);
    expect(violations).toContainEqual(expect.stringMatching(violation));
  });

  it('nothing is wrong with a loop that is as it should be', async () => {
    for (const cell of cellsOf([{ ...loop, run: looping() }])) {
      if (cell.bounded.name === 'periodic(3)' && !cell.hangs) {
        expect((await outcomeOf(cell)).violations).toEqual([]);
      }
    }
  });
});
