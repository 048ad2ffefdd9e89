/** All entries or none. */
import assert from 'node:assert/strict';
import type { Metadata } from '../../metadata.js';
import { Offset } from '../../offset.js';
import type { CommitEntry } from '../../offset-store.js';
import {
  expectAll,
  expectCheckpoint,
  expectOffset,
  expectRefusal,
  expectSource,
  expectUnchanged,
  render,
} from '../expect.js';
import type { Harness } from '../harness.js';
import { illegalMetadata, NO_OFFSETS } from '../samples.js';
import { commitPairsTogether, seq } from './support.js';

export function many(suite: Harness): void {
  suite.promise('all entries are committed', ['commitMany'], async (store) => {
    await store.commit('orders', seq(1));
    assert.equal(
      await store.commitMany([
        { source: 'orders', offset: seq(5) },
        { source: 'payments', offset: Offset.custom('token') },
      ]),
      undefined,
    );
    await expectAll(store, [
      ['orders', seq(5)],
      ['payments', Offset.custom('token')],
    ]);
  });
  suite.promise(
    'metadata, epoch and allowRegression are taken for each entry',
    ['commitMany', 'inspect', 'epoch'],
    async (store) => {
      await store.commit('orders', seq(9), { metadata: { host: 'a' } });
      await store.clear('payments');
      await store.commitMany([
        { source: 'orders', offset: seq(5), allowRegression: true, epoch: 0 },
        { source: 'payments', offset: seq(2), epoch: 1, metadata: { host: 'b' } },
      ]);
      await expectCheckpoint(store, 'orders', { offset: seq(5), epoch: 0 });
      await expectCheckpoint(store, 'payments', { offset: seq(2), epoch: 1, metadata: { host: 'b' } });
    },
  );
  suite.promise('no entries are no commit', ['commitMany'], async (store) => {
    await store.commit('orders', seq(5));
    await expectUnchanged(store, () => store.commitMany([]));
  });
  suite.promise('any iterable is taken, and read once', ['commitMany'], async (store) => {
    function* entries(): Generator<CommitEntry> {
      yield { source: 'orders', offset: seq(5) };
      yield { source: 'payments', offset: seq(2) };
    }
    await store.commitMany(entries());
    await expectAll(store, [
      ['orders', seq(5)],
      ['payments', seq(2)],
    ]);
  });
  suite.promise('1,000 entries are committed', ['commitMany'], async (store) => {
    const entries = Array.from({ length: 1_000 }, (_, index) => ({
      source: `source-${index}`,
      offset: seq(index),
    }));
    await store.commitMany(entries);
    await expectAll(
      store,
      entries.map(({ source, offset }): [string, Offset] => [source, offset]),
    );
  });
  suite.promise('a source in several entries has them applied in order', ['commitMany'], async (store) => {
    await store.commitMany([
      { source: 'orders', offset: seq(5) },
      { source: 'orders', offset: seq(5) },
      { source: 'orders', offset: seq(9) },
      { source: 'orders', offset: seq(7), allowRegression: true },
    ]);
    await expectOffset(store, 'orders', seq(7));
    const error = await expectRefusal('commitMany() of 9, then 8, of one source', 'behind', () =>
      store.commitMany([
        { source: 'orders', offset: seq(9) },
        { source: 'orders', offset: seq(8) },
      ]),
    );
    expectSource(error, 'orders');
    await expectOffset(store, 'orders', seq(7));
  });
  suite.promise('an entry behind: none is committed', ['commitMany'], async (store) => {
    await store.commit('orders', seq(5));
    await expectUnchanged(store, async () => {
      const error = await expectRefusal('commitMany() with an entry behind', 'behind', () =>
        store.commitMany([
          { source: 'first', offset: seq(1) },
          { source: 'orders', offset: seq(4) },
          { source: 'last', offset: seq(1) },
        ]),
      );
      expectSource(error, 'orders');
    });
  });
  suite.promise('a fenced entry: none is committed', ['commitMany', 'epoch'], async (store) => {
    await store.clear('orders');
    await store.commit('orders', seq(5));
    await expectUnchanged(store, async () => {
      const error = await expectRefusal('commitMany() with an entry under an old epoch', 'fenced', () =>
        store.commitMany([
          { source: 'first', offset: seq(1) },
          { source: 'orders', offset: seq(6), epoch: 0 },
          { source: 'last', offset: seq(1) },
        ]),
      );
      expectSource(error, 'orders');
    });
  });
  suite.promise('an entry that is no offset: none is committed', ['commitMany'], async (store) => {
    await store.commit('orders', seq(5));
    await expectUnchanged(store, async () => {
      for (const [what, value] of NO_OFFSETS) {
        await expectRefusal(`commitMany() with ${what}`, 'invalid', () =>
          store.commitMany([
            { source: 'orders', offset: seq(6) },
            { source: 'payments', offset: value as Offset },
          ]),
        );
      }
    });
  });
  suite.promise(
    'an entry whose metadata cannot be kept: none is committed',
    ['commitMany', 'inspect'],
    async (store) => {
      await expectUnchanged(store, async () => {
        for (const [what, value] of illegalMetadata()) {
          await expectRefusal(`commitMany() with the metadata ${what}`, 'serialization', () =>
            store.commitMany([
              { source: 'orders', offset: seq(6) },
              { source: 'payments', offset: seq(1), metadata: value as Metadata },
            ]),
          );
        }
      });
    },
  );
  suite.promise(
    'of several refused entries the first gives the error',
    ['commitMany', 'epoch'],
    async (store) => {
      await store.clear('fenced');
      await store.commit('behind', seq(5));
      const behind: CommitEntry = { source: 'behind', offset: seq(4) };
      const fenced: CommitEntry = { source: 'fenced', offset: seq(1), epoch: 0 };
      const fine: CommitEntry = { source: 'fine', offset: seq(1) };
      expectSource(
        await expectRefusal('commitMany(), the first refused behind', 'behind', () =>
          store.commitMany([fine, behind, fenced]),
        ),
        'behind',
      );
      expectSource(
        await expectRefusal('commitMany(), the first refused fenced', 'fenced', () =>
          store.commitMany([fine, fenced, behind]),
        ),
        'fenced',
      );
      await expectAll(store, [['behind', seq(5)]]);
    },
  );
  suite.promise(
    'what are no entries is refused with a TypeError or RangeError, by a rejection',
    ['commitMany'],
    async (store) => {
      for (const wrong of [undefined, null, 5, {}, [null], [undefined], [5], [{}]]) {
        await expectRefusal(`commitMany(${render(wrong)})`, 'argument', () =>
          store.commitMany(wrong as CommitEntry[]),
        );
      }
      await expectAll(store, []);
    },
  );
  suite.promise(
    'concurrent commits of the same sources leave them as one of them did',
    ['commitMany'],
    async (store) => {
      await commitPairsTogether([store]);
    },
  );
}
