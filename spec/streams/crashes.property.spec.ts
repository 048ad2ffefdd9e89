import { setImmediate as turn } from 'node:timers/promises';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import { CommitStrategy } from '../../lib/commit-strategy.js';
import { commitOffsets } from '../../lib/streams/commit-offsets.js';
import { withOffsets } from '../../lib/streams/with-offsets.js';
import { OffsetTracker } from '../../lib/tracker/offset-tracker.js';
import { closed } from '../support/stream-helpers.js';
import { ScriptedStore } from '../support/stream-store.js';

interface Item {
  readonly source: string;
  /** With gaps. */
  readonly offset: number;
}

interface Crash {
  /** How many items the run does before. */
  readonly after: number;
  /** An error takes its time to commit what was recorded; a kill commits nothing any more. */
  readonly how: 'error' | 'kill';
}

const BUFFER = 16;

/** How many items of a source a kill may leave recorded and not committed; undefined where time alone says. */
function bound(strategy: CommitStrategy): number | undefined {
  return strategy.kind === 'auto' ? 1 : strategy.kind === 'periodic' ? strategy.n : undefined;
}

const strategies = fc.oneof(
  fc.constantFrom(CommitStrategy.auto, CommitStrategy.eager, CommitStrategy.interval(60_000)),
  fc.integer({ min: 1, max: 12 }).map((n) => CommitStrategy.periodic(n)),
);

const crashes = fc.array(
  fc.record<Crash>({
    after: fc.nat({ max: 40 }),
    how: fc.constantFrom('error', 'kill'),
  }),
  { maxLength: 6, size: 'max' },
);

const items = fc
  .array(fc.record({ source: fc.constantFrom('a', 'b', 'c'), gap: fc.integer({ min: 1, max: 5 }) }), {
    maxLength: 160,
    size: 'max',
  })
  .map((drawn) => {
    const last = new Map<string, number>();
    return drawn.map(({ source, gap }): Item => {
      const offset = (last.get(source) ?? -1) + gap;
      last.set(source, offset);
      return { source, offset };
    });
  });

it('whatever fails when, a restart skips nothing, and repeats no more than is promised', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.record({
        items,
        crashes,
        strategy: strategies,
        resume: fc.constantFrom('continue' as const, 'skip' as const),
        form: fc.constantFrom('withOffsets' as const, 'commitOffsets' as const),
        counted: fc.boolean(),
        commitTurns: fc.nat({ max: 3 }),
        workTurns: fc.nat({ max: 1 }),
      }),
      async ({ items, crashes, strategy, resume, form, counted, commitTurns, workTurns }) => {
        const store = new ScriptedStore();
        /** The place of each item among those of its source, which is its offset where items are counted. */
        const places = new Map<Item, number>();
        const size = new Map<string, number>();
        for (const item of items) {
          const place = size.get(item.source) ?? 0;
          size.set(item.source, place + 1);
          places.set(item, place);
        }
        const offsetOf = (item: Item): number => (counted ? places.get(item)! : item.offset);
        const times = new Map<Item, number>();
        for (const crash of [...crashes, undefined]) {
          let killed = false;
          store.beforeCommit = async () => {
            for (let n = 0; n < commitTurns; n++) await turn();
            // What a dead process has not written yet it never writes.
            if (killed) throw new Error('dead');
          };
          const committed = await store.getAll();
          const isDone = (item: Item): boolean => {
            const offset = committed.get(item.source);
            return offset?.kind === 'sequence' && BigInt(offsetOf(item)) <= offset.value;
          };
          const tracker = new OffsetTracker(store, { strategy });
          const options = {
            source: (item: Item) => item.source,
            offsetOf: counted ? undefined : offsetOf,
            resume,
          };
          const rest = resume === 'skip' ? items : items.filter((item) => !isDone(item));
          const ended = Symbol('ended');
          let end: Promise<void> | undefined;
          let left = crash?.after ?? Infinity;
          const run: Item[] = [];
          // An item that is done and comes again, as it does with 'skip', passes here without being done again.
          async function* work(given: AsyncIterable<Item>): AsyncGenerator<Item> {
            for await (const item of given) {
              if (!isDone(item)) {
                if (left-- <= 0) {
                  killed = crash?.how === 'kill';
                  throw ended;
                }
                for (let n = 0; n < workTurns; n++) await turn();
                run.push(item);
              }
              yield item;
            }
          }
          const source = Readable.from(rest);
          try {
            if (form === 'withOffsets') {
              const stream = withOffsets<Item>(tracker, options);
              end = closed(stream);
              await pipeline(source, work, stream, async function (out: AsyncIterable<Item>) {
                for await (const item of out) expect(isDone(item)).toBe(false);
              });
            } else {
              const stream = commitOffsets<Item>(tracker, options);
              end = closed(stream);
              await pipeline(source, work, stream);
            }
          } catch (error) {
            if (error !== ended) throw error;
          }
          await end;
          const after = await store.getAll();
          const repeats = new Map<string, number>();
          for (const item of run) {
            times.set(item, (times.get(item) ?? 0) + 1);
            const offset = after.get(item.source);
            if (offset?.kind !== 'sequence' || offset.value < BigInt(offsetOf(item))) {
              repeats.set(item.source, (repeats.get(item.source) ?? 0) + 1);
            }
          }
          const uncommitted = [...repeats.values()].reduce((sum, n) => sum + n, 0);
          const perSource = bound(strategy);
          if (crash?.how === 'error') {
            // What was recorded is committed; only what still was in the stream's buffer comes again.
            expect(uncommitted).toBeLessThanOrEqual(BUFFER);
          } else if (perSource !== undefined) {
            expect(uncommitted).toBeLessThanOrEqual(perSource * size.size + BUFFER);
          }
          // Nothing committed that was not done.
          for (const item of items) {
            const offset = after.get(item.source);
            if (offset?.kind === 'sequence' && BigInt(offsetOf(item)) <= offset.value) {
              expect(times.get(item) ?? 0).toBeGreaterThan(0);
            }
          }
        }
        for (const item of items) expect(times.get(item) ?? 0).toBeGreaterThan(0);
        for (const [source, count] of size) {
          const last = counted ? count - 1 : items.findLast((item) => item.source === source)!.offset;
          expect(await store.at(source)).toBe(`seq:${last}`);
        }
      },
    ),
    { numRuns: 60 },
  );
}, 60_000);
