/** What a restart leaves. */
import assert from 'node:assert/strict';
import type { Offset } from '../../offset.js';
import { committedAtMs, expectAll, expectCheckpoint, expectOffset, expectRefusal } from '../expect.js';
import type { Harness } from '../harness.js';
import { HOSTILE_NAMES, LEGAL_METADATA, OFFSETS } from '../samples.js';
import { pair, seq } from './support.js';

export function persistence(suite: Harness): void {
  suite.promise(
    'every kind of offset is there when the store is opened again',
    ['reopen'],
    async (store, scene) => {
      const all = OFFSETS.map((offset, index): [string, Offset] => [`source-${index}`, offset]);
      for (const [source, offset] of all) await store.commit(source, offset);
      await expectAll(await scene.reopen(), all);
    },
  );
  suite.promise('names are told apart when the store is opened again', ['reopen'], async (store, scene) => {
    const all = HOSTILE_NAMES.map((name, index): [string, Offset] => [name, seq(index)]);
    for (const [name, offset] of all) await store.commit(name, offset);
    const again = await scene.reopen();
    await expectAll(again, all);
    for (const [name, offset] of all) await expectOffset(again, name, offset);
  });
  suite.promise(
    'checkpoints are the same when the store is opened again',
    ['reopen', 'inspect'],
    async (store, scene) => {
      await store.commit('orders', seq(5), { metadata: LEGAL_METADATA });
      const committedAt = await committedAtMs(store, 'orders');
      const again = await scene.reopen();
      await expectCheckpoint(again, 'orders', { offset: seq(5), epoch: 0, metadata: LEGAL_METADATA });
      assert.equal(await committedAtMs(again, 'orders'), committedAt, 'Expected committedAt to stay');
    },
  );
  suite.promise('order is kept against what was committed before', ['reopen'], async (store, scene) => {
    await store.commit('orders', seq(5));
    const again = await scene.reopen();
    await expectRefusal('commit() behind, opened again', 'behind', () => again.commit('orders', seq(4)));
    await again.commit('orders', seq(6));
    await expectOffset(await scene.reopen(), 'orders', seq(6));
  });
  suite.promise('clear() and clearAll() last', ['reopen'], async (store, scene) => {
    await store.commit('orders', seq(5));
    await store.commit('payments', seq(2));
    await store.clear('orders');
    const again = await scene.reopen();
    await expectAll(again, [['payments', seq(2)]]);
    await again.clearAll();
    await expectAll(await scene.reopen(), []);
  });
  suite.promise('a cleared source keeps its epoch', ['reopen', 'epoch'], async (store, scene) => {
    await store.commit('orders', seq(5), { epoch: 0 });
    await store.clear('orders');
    await store.clear('unseen');
    const again = await scene.reopen();
    await expectAll(again, []);
    for (const source of ['orders', 'unseen']) {
      assert.equal(await again.epoch(source), 1);
      await expectRefusal('commit() under the epoch before clear(), opened again', 'fenced', () =>
        again.commit(source, seq(6), { epoch: 0 }),
      );
    }
  });
  suite.promise('reset() and its epoch last', ['reopen', 'epoch', 'reset'], async (store, scene) => {
    await store.commit('orders', seq(5), { epoch: 0 });
    await store.reset('orders', seq(2));
    const again = await scene.reopen();
    await expectOffset(again, 'orders', seq(2));
    assert.equal(await again.epoch('orders'), 1);
  });
  suite.promise(
    'claims last, with and without an offset',
    ['reopen', 'epoch', 'claim'],
    async (store, scene) => {
      await store.commit('orders', seq(5));
      await store.claim('orders');
      await store.claim('unseen');
      const again = await scene.reopen();
      await expectAll(again, [['orders', seq(5)]]);
      assert.equal(await again.epoch('orders'), 1);
      assert.equal(await again.epoch('unseen'), 1);
      assert.equal(await again.claim('unseen'), 2);
    },
  );
  suite.promise('commitMany() lasts', ['reopen', 'commitMany'], async (store, scene) => {
    await store.commitMany(pair(5, true));
    await expectAll(await scene.reopen(), [
      ['left', seq(5)],
      ['right', seq(5)],
    ]);
  });
}
