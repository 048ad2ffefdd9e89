/** What forgets, sets and claims a source, and whom that fences. */
import assert from 'node:assert/strict';
import { Offset } from '../../offset.js';
import {
  committedAtMs,
  expectAll,
  expectCheckpoint,
  expectOffset,
  expectRefusal,
  expectSource,
  expectUnchanged,
  render,
} from '../expect.js';
import type { Harness } from '../harness.js';
import { NO_OFFSETS } from '../samples.js';
import { clockToMove, seq } from './support.js';

export function clearing(suite: Harness): void {
  suite.promise('clear() forgets the source and leaves the others', [], async (store) => {
    await store.commit('orders', seq(5));
    await store.commit('payments', seq(2));
    assert.equal(await store.clear('orders'), undefined);
    await expectOffset(store, 'orders', undefined);
    await expectAll(store, [['payments', seq(2)]]);
  });
  suite.promise('clear() of a source that was never seen succeeds', [], async (store) => {
    await store.clear('orders');
    await expectAll(store, []);
  });
  suite.promise('clear() twice is as good as once', [], async (store) => {
    await store.commit('orders', seq(5));
    await store.clear('orders');
    await store.clear('orders');
    await expectOffset(store, 'orders', undefined);
  });
  suite.promise('a cleared source starts anew: any offset may be committed', [], async (store) => {
    await store.commit('orders', seq(5));
    await store.clear('orders');
    await store.commit('orders', seq(1));
    await expectOffset(store, 'orders', seq(1));
    await expectAll(store, [['orders', seq(1)]]);
  });
  suite.promise('clearAll() forgets every source', [], async (store) => {
    await store.commit('orders', seq(5));
    await store.commit('payments', seq(2));
    assert.equal(await store.clearAll(), undefined);
    await expectAll(store, []);
    await expectOffset(store, 'orders', undefined);
    await store.commit('orders', seq(1));
    await expectAll(store, [['orders', seq(1)]]);
  });
  suite.promise('clearAll() of an empty store succeeds', [], async (store) => {
    await store.clearAll();
    await expectAll(store, []);
  });
}

export function epochs(suite: Harness): void {
  suite.promise(
    'epoch() is 0 for a source that was never seen, and after plain commits',
    ['epoch'],
    async (store) => {
      assert.equal(await store.epoch('orders'), 0);
      await store.commit('orders', seq(5));
      await store.commit('orders', seq(6), { epoch: 0 });
      assert.equal(await store.epoch('orders'), 0);
    },
  );
  suite.promise('a commit under the source\u2019s epoch is taken', ['epoch'], async (store) => {
    await store.commit('orders', seq(5), { epoch: 0 });
    await store.clear('orders');
    await store.commit('orders', seq(3), { epoch: await store.epoch('orders') });
    await expectOffset(store, 'orders', seq(3));
  });
  suite.promise(
    'a commit under another epoch is refused with FencedError and changes nothing',
    ['epoch'],
    async (store) => {
      await store.clear('orders');
      await store.clear('orders');
      await store.commit('orders', seq(5), { epoch: 2, metadata: { host: 'a' } });
      await expectUnchanged(store, async () => {
        for (const epoch of [0, 1, 3, Number.MAX_SAFE_INTEGER]) {
          const error = await expectRefusal(`commit() under epoch ${epoch} at epoch 2`, 'fenced', () =>
            store.commit('orders', seq(6), { epoch }),
          );
          expectSource(error, 'orders');
        }
      });
    },
  );
  suite.promise(
    'a commit under a higher epoch than 0 is refused where nothing is stored',
    ['epoch'],
    async (store) => {
      await expectRefusal('commit() under epoch 1 at epoch 0', 'fenced', () =>
        store.commit('orders', seq(5), { epoch: 1 }),
      );
      await expectAll(store, []);
      assert.equal(await store.epoch('orders'), 0);
    },
  );
  suite.promise(
    'the epoch is checked first: a no-op, a regression and an allowed one are fenced',
    ['epoch'],
    async (store) => {
      await store.clear('orders');
      await store.commit('orders', seq(5));
      for (const [value, allowRegression] of [
        [5, false],
        [4, false],
        [4, true],
      ] as const) {
        await expectRefusal(`commit() of ${value} under epoch 0 at epoch 1`, 'fenced', () =>
          store.commit('orders', seq(value), { epoch: 0, allowRegression }),
        );
      }
      await expectOffset(store, 'orders', seq(5));
    },
  );
  suite.promise('a commit without an epoch is not fenced', ['epoch'], async (store) => {
    await store.clear('orders');
    await store.commit('orders', seq(5));
    await expectOffset(store, 'orders', seq(5));
    assert.equal(await store.epoch('orders'), 1);
  });
  suite.promise('clear() raises the epoch by one, of a source never seen too', ['epoch'], async (store) => {
    await store.commit('orders', seq(5));
    await store.clear('orders');
    await store.clear('unseen');
    assert.equal(await store.epoch('orders'), 1);
    assert.equal(await store.epoch('unseen'), 1);
    await store.clear('orders');
    assert.equal(await store.epoch('orders'), 2);
  });
  suite.promise('a cleared source keeps its epoch and is in no listing', ['epoch'], async (store) => {
    await store.commit('orders', seq(5), { metadata: { host: 'a' } });
    await store.clear('orders');
    await expectOffset(store, 'orders', undefined);
    await expectAll(store, []);
    assert.equal(await store.inspect?.('orders'), undefined);
    assert.equal((await store.inspectAll?.())?.size ?? 0, 0);
    assert.equal(await store.epoch('orders'), 1);
    await store.commit('orders', seq(1));
    assert.equal(await store.epoch('orders'), 1);
  });
  suite.promise('a commit under the old epoch is refused after clear()', ['epoch'], async (store) => {
    await store.commit('orders', seq(5), { epoch: 0 });
    await store.clear('orders');
    await expectRefusal('commit() under the epoch before clear()', 'fenced', () =>
      store.commit('orders', seq(6), { epoch: 0 }),
    );
    await expectOffset(store, 'orders', undefined);
    await expectAll(store, []);
  });
  suite.promise(
    'clearAll() raises the epoch of every source it knows, tombstones included',
    ['epoch'],
    async (store) => {
      await store.commit('orders', seq(5));
      await store.clear('cleared');
      await store.clearAll();
      assert.equal(await store.epoch('orders'), 1);
      assert.equal(await store.epoch('cleared'), 2);
      for (const source of ['orders', 'cleared']) {
        for (const epoch of [0, 3]) {
          await expectRefusal(`commit() under epoch ${epoch} after clearAll()`, 'fenced', () =>
            store.commit(source, seq(6), { epoch }),
          );
        }
      }
      await expectAll(store, []);
    },
  );
  suite.promise('a refused commit does not raise the epoch', ['epoch'], async (store) => {
    await store.commit('orders', seq(5));
    await expectRefusal('commit() behind', 'behind', () => store.commit('orders', seq(4)));
    await expectRefusal('commit() under another epoch', 'fenced', () =>
      store.commit('orders', seq(6), { epoch: 7 }),
    );
    assert.equal(await store.epoch('orders'), 0);
  });
  suite.promise(
    'commit() refuses what is no epoch with a TypeError or RangeError',
    ['epoch'],
    async (store) => {
      await store.commit('orders', seq(5));
      await expectUnchanged(store, async () => {
        for (const epoch of [-1, 0.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53, '0', 0n, null]) {
          await expectRefusal(`commit() under epoch ${render(epoch)}`, 'argument', () =>
            store.commit('orders', seq(6), { epoch: epoch as number }),
          );
        }
      });
    },
  );
}

export function resets(suite: Harness): void {
  suite.promise(
    'reset() sets the offset, back and forward, and gives the new epoch',
    ['reset', 'epoch'],
    async (store) => {
      await store.commit('orders', seq(5));
      for (const [index, offset] of [seq(1), seq(9), seq(9), Offset.earliest, Offset.custom('x')].entries()) {
        assert.equal(
          await store.reset('orders', offset),
          index + 1,
          'Expected reset() to give the new epoch',
        );
        assert.equal(await store.epoch('orders'), index + 1);
        await expectOffset(store, 'orders', offset);
      }
    },
  );
  suite.promise(
    'reset() of a source never seen, and of a cleared one, stores the offset',
    ['reset', 'epoch'],
    async (store) => {
      assert.equal(await store.reset('orders', seq(5)), 1);
      await expectOffset(store, 'orders', seq(5));
      await store.clear('orders');
      assert.equal(await store.reset('orders', seq(2)), 3);
      await expectAll(store, [['orders', seq(2)]]);
    },
  );
  suite.promise('a commit under the old epoch is refused after reset()', ['reset'], async (store) => {
    await store.commit('orders', seq(5), { epoch: 0 });
    const epoch = await store.reset('orders', seq(2));
    await expectRefusal('commit() under the epoch before reset()', 'fenced', () =>
      store.commit('orders', seq(6), { epoch: epoch - 1 }),
    );
    await expectOffset(store, 'orders', seq(2));
    await store.commit('orders', seq(3), { epoch });
    await expectOffset(store, 'orders', seq(3));
  });
  suite.promise('reset() drops the metadata', ['reset', 'inspect'], async (store) => {
    await store.commit('orders', seq(5), { metadata: { host: 'a' } });
    await store.reset('orders', seq(5));
    await expectCheckpoint(store, 'orders', { offset: seq(5), epoch: 1 });
  });
  suite.promise('reset() is a commit in the eyes of committedAt', ['reset', 'inspect'], async (store) => {
    await store.commit('orders', seq(5));
    const first = await committedAtMs(store, 'orders');
    await clockToMove();
    await store.reset('orders', seq(5));
    const second = await committedAtMs(store, 'orders');
    assert.ok(second > first, `Expected committedAt to be later than ${first}, got ${second}`);
  });
  suite.promise(
    'reset() refuses what is no offset with OFFSET_INVALID, and changes nothing',
    ['reset'],
    async (store) => {
      await store.commit('orders', seq(5));
      await expectUnchanged(store, async () => {
        for (const [what, value] of NO_OFFSETS) {
          await expectRefusal(`reset() to ${what}`, 'invalid', () => store.reset('orders', value as Offset));
        }
      });
    },
  );
}

export function claims(suite: Harness): void {
  suite.promise('claim() gives a new epoch each time', ['claim', 'epoch'], async (store) => {
    for (const epoch of [1, 2, 3]) {
      assert.equal(await store.claim('orders'), epoch, 'Expected claim() to give the new epoch');
      assert.equal(await store.epoch('orders'), epoch);
    }
  });
  suite.promise('claim() leaves offset, metadata and committedAt', ['claim', 'inspect'], async (store) => {
    await store.commit('orders', seq(5), { metadata: { host: 'a' } });
    const committedAt = await committedAtMs(store, 'orders');
    await clockToMove();
    await store.claim('orders');
    await expectCheckpoint(store, 'orders', { offset: seq(5), epoch: 1, metadata: { host: 'a' } });
    assert.equal(await committedAtMs(store, 'orders'), committedAt, 'Expected committedAt to stay');
  });
  suite.promise('a claimed source without an offset is in no listing', ['claim'], async (store) => {
    await store.claim('orders');
    await expectOffset(store, 'orders', undefined);
    await expectAll(store, []);
    assert.equal(await store.inspect?.('orders'), undefined);
    assert.equal((await store.inspectAll?.())?.size ?? 0, 0);
  });
  suite.promise(
    'the newest claimant commits; older ones are refused with FencedError',
    ['claim'],
    async (store) => {
      await store.commit('orders', seq(5), { epoch: 0 });
      const older = await store.claim('orders');
      await store.commit('orders', seq(6), { epoch: older });
      const newer = await store.claim('orders');
      for (const epoch of [0, older]) {
        await expectRefusal(`commit() under epoch ${epoch} after claim() gave ${newer}`, 'fenced', () =>
          store.commit('orders', seq(7), { epoch }),
        );
      }
      await store.commit('orders', seq(7), { epoch: newer });
      await expectOffset(store, 'orders', seq(7));
    },
  );
  suite.promise('clear() and clearAll() fence a claimant', ['claim', 'epoch'], async (store) => {
    const first = await store.claim('orders');
    await store.clear('orders');
    await expectRefusal('commit() of a claimant after clear()', 'fenced', () =>
      store.commit('orders', seq(1), { epoch: first }),
    );
    const second = await store.claim('orders');
    await store.clearAll();
    await expectRefusal('commit() of a claimant after clearAll()', 'fenced', () =>
      store.commit('orders', seq(1), { epoch: second }),
    );
    assert.equal(await store.epoch('orders'), 4);
    await expectAll(store, []);
  });
}
