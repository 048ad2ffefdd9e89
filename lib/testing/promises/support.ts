/** What several groups of promises use. */
import assert from 'node:assert/strict';
import { setTimeout as delay } from 'node:timers/promises';
import { Offset } from '../../offset.js';
import type { CommitEntry, OffsetStore } from '../../offset-store.js';
import { expectSettled } from '../expect.js';

export const seq = (value: bigint | number): Offset => Offset.sequence(value);

/** Waits until the clock has moved on visibly: commits before and after get other times. */
export async function clockToMove(): Promise<void> {
  const start = Date.now();
  while (Date.now() < start + 5) await delay(2);
}

/** 1 to `count` in an order that is no order, and is always the same. */
function shuffled(count: number): number[] {
  return Array.from({ length: count }, (_, index) => index + 1).toSorted(
    (a, b) => ((a * 7919) % 101) - ((b * 7919) % 101),
  );
}

/** Two sources at the same offset, in one order or the other. */
export function pair(value: number, leftFirst: boolean): CommitEntry[] {
  const entries = [
    { source: 'left', offset: seq(value), allowRegression: true },
    { source: 'right', offset: seq(value), allowRegression: true },
  ];
  return leftFirst ? entries : entries.toReversed();
}

/** Many set two sources to one value of their own each: the two must not end at different ones. */
export async function commitPairsTogether(
  stores: ReadonlyArray<Pick<Required<OffsetStore>, 'commitMany' | 'get'>>,
): Promise<void> {
  for (let round = 0; round < 3; round++) {
    const results = await Promise.allSettled(
      // Both orders at once: a store that locks source by source has to avoid the deadlock.
      shuffled(30).map((value, index) =>
        (stores[index % stores.length] as (typeof stores)[0]).commitMany(pair(value, value % 3 === 0)),
      ),
    );
    expectSettled('concurrent commitMany()', results);
    const [left, right] = [await stores[0]?.get('left'), await stores[0]?.get('right')];
    assert.ok(left !== undefined && right !== undefined, 'Expected both sources to be committed');
    assert.equal(
      Offset.format(left),
      Offset.format(right),
      'Expected both sources to come from one commitMany()',
    );
  }
}
