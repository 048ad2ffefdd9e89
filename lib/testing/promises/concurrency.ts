/** Many callers at once, through one store or several over the same data. */
import assert from 'node:assert/strict';
import { setImmediate as turn } from 'node:timers/promises';
import type { Offset } from '../../offset.js';
import type { OffsetStore } from '../../offset-store.js';
import { expectAll, expectOffset, expectRefusal, expectSettled } from '../expect.js';
import type { Harness } from '../harness.js';
import { commitPairsTogether, seq } from './support.js';

export function concurrency(suite: Harness): void {
  suite.promise('first calls made at once on a fresh store all succeed', [], async (store) => {
    const results = await Promise.allSettled([
      store.get('orders'),
      store.commit('orders', seq(5)),
      store.getAll(),
      store.clear('payments'),
      store.commit('refunds', seq(1)),
      store.commitMany?.([{ source: 'returns', offset: seq(1) }]),
      store.inspect?.('orders'),
      store.inspectAll?.(),
      store.epoch?.('orders'),
      store.reset?.('reset', seq(1)),
      store.claim?.('claimed'),
    ]);
    expectSettled('first calls', results);
    await expectOffset(store, 'orders', seq(5));
    await expectOffset(store, 'refunds', seq(1));
  });
  suite.promise('200 concurrent commits of different sources all land', [], async (store) => {
    const all = Array.from({ length: 200 }, (_, index): [string, Offset] => [`source-${index}`, seq(index)]);
    const results = await Promise.allSettled(all.map(([source, offset]) => store.commit(source, offset)));
    expectSettled('commits of different sources', results);
    await expectAll(store, all);
  });
  suite.promise('concurrent commits of one source end at the newest', [], async (store) => {
    await raceToEnd([store, store, store, store]);
  });
  suite.promise(
    'reads during writes never go backwards, and see every commit that has resolved',
    [],
    async (store) => {
      await store.commit('orders', seq(0));
      const writes = { resolved: 0n, over: false };
      const reader = async (): Promise<void> => {
        let seen = 0n;
        while (!writes.over) {
          const floor = writes.resolved;
          const offset = await store.get('orders');
          const value = offset?.kind === 'sequence' ? offset.value : -1n;
          assert.ok(value >= seen, `Expected get() not to go back from ${seen}, got ${value}`);
          assert.ok(value >= floor, `Expected get() to see the commit of ${floor}, got ${value}`);
          seen = value;
          await turn();
        }
      };
      const writer = async (): Promise<void> => {
        for (let value = 1n; value <= 40n && !writes.over; value += 1n) {
          await store.commit('orders', seq(value));
          writes.resolved = value;
          // A store that answers without I/O must not keep the readers from their turn.
          await turn();
        }
      };
      const all = [writer(), reader(), reader(), reader()].map((one) =>
        one.finally(() => {
          writes.over = true;
        }),
      );
      for (const result of await Promise.allSettled(all)) {
        if (result.status === 'rejected') throw result.reason;
      }
      await expectOffset(store, 'orders', seq(40));
    },
  );
  suite.promise(
    'a commit racing clear() under the old epoch never brings the source back',
    ['epoch'],
    async (store) => {
      for (let round = 0; round < 15; round++) {
        const source = `source-${round}`;
        await store.commit(source, seq(1), { epoch: 0 });
        const committing = [2, 3, 4].map((value) => store.commit(source, seq(value), { epoch: 0 }));
        const clearing = store.clear(source);
        committing.push(store.commit(source, seq(5), { epoch: 0 }));
        const [raised, commits] = await Promise.all([
          Promise.allSettled([clearing]),
          Promise.allSettled(committing),
        ]);
        expectSettled('clear()', raised);
        expectSettled('commits', commits, 'overtaken');
        await expectOffset(store, source, undefined);
        assert.equal(await store.epoch(source), 1);
      }
      await expectAll(store, []);
    },
  );
  suite.promise(
    'a commit racing reset() under the old epoch never undoes it',
    ['reset', 'epoch'],
    async (store) => {
      for (let round = 0; round < 15; round++) {
        const source = `source-${round}`;
        await store.commit(source, seq(10), { epoch: 0 });
        const committing = [20, 30, 40].map((value) => store.commit(source, seq(value), { epoch: 0 }));
        const resetting = store.reset(source, seq(5));
        committing.push(store.commit(source, seq(50), { epoch: 0 }));
        const [raised, commits] = await Promise.all([
          Promise.allSettled([resetting]),
          Promise.allSettled(committing),
        ]);
        expectSettled('reset()', raised);
        expectSettled('commits', commits, 'overtaken');
        await expectOffset(store, source, seq(5));
        assert.equal(await store.epoch(source), 1);
      }
    },
  );
  suite.promise(
    'concurrent claims all get epochs of their own, and only the newest commits',
    ['claim'],
    async (store) => {
      await claimTogether([store, store, store, store]);
    },
  );
  suite.promise('concurrent clears and resets each raise the epoch', ['epoch', 'reset'], async (store) => {
    const raising = Array.from({ length: 20 }, (_, index): Promise<unknown> =>
      index % 2 === 0 ? store.clear('orders') : store.reset('orders', seq(index)),
    );
    expectSettled('clear() and reset()', await Promise.allSettled(raising));
    assert.equal(await store.epoch('orders'), 20);
  });
}

export function instances(suite: Harness): void {
  suite.promise('what one commits the other reads', ['another'], async (store, scene) => {
    await store.commit('orders', seq(5));
    const other = await scene.another();
    await expectOffset(other, 'orders', seq(5));
    await other.commit('orders', seq(6));
    await expectOffset(store, 'orders', seq(6));
    await store.commit('payments', seq(1));
    await expectAll(other, [
      ['orders', seq(6)],
      ['payments', seq(1)],
    ]);
    await store.clear('orders');
    await expectOffset(other, 'orders', undefined);
    await other.clearAll();
    await expectAll(store, []);
  });
  suite.promise('a commit behind the other\u2019s is refused', ['another'], async (store, scene) => {
    const other = await scene.another();
    await store.commit('orders', seq(5));
    await expectOffset(other, 'orders', seq(5));
    await store.commit('orders', seq(9));
    await expectRefusal('commit() behind the other instance', 'behind', () => other.commit('orders', seq(7)));
    await expectOffset(store, 'orders', seq(9));
  });
  suite.promise('commits of different sources do not undo each other', ['another'], async (store, scene) => {
    const other = await scene.another();
    const all = Array.from({ length: 60 }, (_, index): [string, Offset] => [`source-${index}`, seq(index)]);
    const results = await Promise.allSettled(
      all.map(([source, offset], index) => (index % 2 === 0 ? store : other).commit(source, offset)),
    );
    expectSettled('commits by two instances', results);
    await expectAll(store, all);
    await expectAll(other, all);
  });
  suite.promise('concurrent commits of one source end at the newest', ['another'], async (store, scene) => {
    await raceToEnd([store, await scene.another(), store, await scene.another()]);
  });
  suite.promise('the other\u2019s clear() fences', ['another', 'epoch'], async (store, scene) => {
    const other = await scene.another();
    await store.commit('orders', seq(5), { epoch: 0 });
    await other.clear('orders');
    await expectRefusal('commit() after the other instance cleared', 'fenced', () =>
      store.commit('orders', seq(6), { epoch: 0 }),
    );
    await expectOffset(store, 'orders', undefined);
    assert.equal(await store.epoch('orders'), 1);
  });
  suite.promise('the other\u2019s reset() fences', ['another', 'reset'], async (store, scene) => {
    const other = await scene.another();
    await store.commit('orders', seq(5), { epoch: 0 });
    await other.reset('orders', seq(2));
    await expectRefusal('commit() after the other instance reset', 'fenced', () =>
      store.commit('orders', seq(6), { epoch: 0 }),
    );
    await expectOffset(store, 'orders', seq(2));
  });
  suite.promise(
    'concurrent claims all get epochs of their own, and only the newest commits',
    ['another', 'claim'],
    async (store, scene) => {
      const other = await scene.another();
      await claimTogether([store, other, store, other]);
    },
  );
  suite.promise(
    'concurrent commitMany() of the same sources leave them as one of them did',
    ['another', 'commitMany'],
    async (store, scene) => {
      await commitPairsTogether([store, await scene.another()]);
    },
  );
  suite.promise('closing one leaves the other', ['another', 'close'], async (store, scene) => {
    const other = await scene.another();
    await store.commit('orders', seq(5));
    await store.close();
    await other.commit('orders', seq(6));
    await expectOffset(other, 'orders', seq(6));
  });
}

/** Several clients commit 1 to 100 of one source at once, each its own part in rising order. */
async function raceToEnd(clients: readonly OffsetStore[]): Promise<void> {
  const values = Array.from({ length: 100 }, (_, index) => index + 1);
  const results = await Promise.allSettled(
    values.map((value, index) =>
      (clients[index % clients.length] as OffsetStore).commit('orders', seq(value)),
    ),
  );
  expectSettled('concurrent commits of one source', results, 'behind');
  await expectOffset(clients[0] as OffsetStore, 'orders', seq(100));

  // The same from the other end: whatever comes first, the newest stays.
  const reversed = await Promise.allSettled(
    values
      .toReversed()
      .map((value, index) => (clients[index % clients.length] as OffsetStore).commit('payments', seq(value))),
  );
  expectSettled('concurrent commits of one source', reversed, 'behind');
  await expectOffset(clients[0] as OffsetStore, 'payments', seq(100));
}

async function claimTogether(
  stores: ReadonlyArray<OffsetStore & Required<Pick<OffsetStore, 'claim'>>>,
): Promise<void> {
  const claimed = await Promise.all(
    Array.from({ length: 20 }, (_, index) =>
      (stores[index % stores.length] as (typeof stores)[0]).claim('orders'),
    ),
  );
  assert.deepEqual(
    claimed.toSorted((a, b) => a - b),
    Array.from({ length: 20 }, (_, index) => index + 1),
    'Expected 20 claims to give the epochs 1 to 20',
  );
  const results = await Promise.allSettled(
    claimed.map((epoch, index) =>
      (stores[index % stores.length] as OffsetStore).commit('orders', seq(epoch), { epoch }),
    ),
  );
  const landed = claimed.filter((_, index) => results[index]?.status === 'fulfilled');
  assert.deepEqual(landed, [20], 'Expected only the newest claimant to commit');
  expectSettled('commits of claimants', results, 'fenced');
  await expectOffset(stores[0] as OffsetStore, 'orders', seq(20));
}
