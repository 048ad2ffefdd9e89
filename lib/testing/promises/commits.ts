/** Committing and reading offsets of every kind, and never going back. */
import assert from 'node:assert/strict';
import { Offset } from '../../offset.js';
import {
  committedAtMs,
  expectAll,
  expectOffset,
  expectRefusal,
  expectSource,
  expectUnchanged,
  render,
} from '../expect.js';
import type { Harness } from '../harness.js';
import { NO_OFFSETS, OFFSETS, ONE_OF_EACH_KIND, SEQUENCES, TIMES_MS } from '../samples.js';
import { clockToMove, seq } from './support.js';

export function basics(suite: Harness): void {
  suite.promise('get() gives undefined where nothing was committed', [], async (store) => {
    await expectOffset(store, 'orders', undefined);
    await store.commit('payments', seq(1));
    await expectOffset(store, 'orders', undefined);
  });
  suite.promise('get() gives what was committed', [], async (store) => {
    await store.commit('orders', seq(5));
    await expectOffset(store, 'orders', seq(5));
  });
  suite.promise('commit() resolves to undefined', [], async (store) => {
    assert.equal(await store.commit('orders', seq(5)), undefined);
  });
  suite.promise('a later commit replaces an earlier one', [], async (store) => {
    await store.commit('orders', seq(5));
    await store.commit('orders', seq(9));
    await expectOffset(store, 'orders', seq(9));
  });
  suite.promise('sources do not touch one another', [], async (store) => {
    await store.commit('orders', seq(5));
    await store.commit('payments', seq(2));
    await store.commit('orders', seq(6));
    await expectOffset(store, 'payments', seq(2));
  });
  suite.promise('getAll() gives an empty Map where nothing was committed', [], async (store) => {
    await expectAll(store, []);
  });
  suite.promise('getAll() gives every source with its offset', [], async (store) => {
    await store.commit('orders', seq(5));
    await store.commit('payments', Offset.custom('token'));
    await expectAll(store, [
      ['orders', seq(5)],
      ['payments', Offset.custom('token')],
    ]);
  });
  suite.promise('reading commits nothing', [], async (store) => {
    await expectUnchanged(store, async () => {
      await store.get('orders');
      await store.inspect?.('orders');
      await store.epoch?.('orders');
    });
  });
  suite.promise(
    'commit() refuses what is no offset with OFFSET_INVALID, and changes nothing',
    [],
    async (store) => {
      await store.commit('orders', seq(5));
      await expectUnchanged(store, async () => {
        for (const [what, value] of NO_OFFSETS) {
          await expectRefusal(`commit() of ${what}`, 'invalid', () =>
            store.commit('orders', value as Offset),
          );
        }
      });
    },
  );
  suite.promise(
    'commit() refuses options of the wrong types with a TypeError or RangeError',
    [],
    async (store) => {
      await store.commit('orders', seq(5));
      await expectUnchanged(store, async () => {
        for (const wrong of [null, 5, 'epoch', { allowRegression: 'yes' }]) {
          await expectRefusal(`commit() with the options ${render(wrong)}`, 'argument', () =>
            store.commit('orders', seq(6), wrong as object),
          );
        }
      });
    },
  );
}

export function kinds(suite: Harness): void {
  suite.promise('every kind of offset comes back as it was, at its extremes too', [], async (store) => {
    const all = OFFSETS.map((offset, index): [string, Offset] => [`source-${index}`, offset]);
    for (const [source, offset] of all) await store.commit(source, offset);
    for (const [source, offset] of all) await expectOffset(store, source, offset);
    await expectAll(store, all);
  });
  suite.promise('sequences keep their order up to 2^64-1', [], async (store) => {
    for (const value of SEQUENCES) {
      await store.commit('orders', seq(value));
      await expectOffset(store, 'orders', seq(value));
      if (value === 0n) continue;
      await expectRefusal(`commit() of ${value - 1n} after ${value}`, 'behind', () =>
        store.commit('orders', seq(value - 1n)),
      );
    }
    await expectOffset(store, 'orders', seq(2n ** 64n - 1n));
  });
  suite.promise('timestamps keep their order from the first Date to the last', [], async (store) => {
    for (const [index, ms] of TIMES_MS.entries()) {
      const offset = Offset.timestamp(new Date(ms));
      await store.commit('orders', offset);
      await expectOffset(store, 'orders', offset);
      const before = TIMES_MS[index - 1];
      if (before === undefined) continue;
      await expectRefusal(`commit() of ${before} ms after ${ms} ms`, 'behind', () =>
        store.commit('orders', Offset.timestamp(new Date(before))),
      );
    }
  });
  suite.promise('custom offsets have no order: each replaces the other', [], async (store) => {
    for (const text of ['b', 'a', 'B', 'caf\u00E9', 'cafe\u0301', '', 'b']) {
      await store.commit('orders', Offset.custom(text));
      await expectOffset(store, 'orders', Offset.custom(text));
    }
  });
  suite.promise('kinds have no order between them: each replaces the other', [], async (store) => {
    for (const from of ONE_OF_EACH_KIND) {
      for (const to of ONE_OF_EACH_KIND) {
        await store.commit('orders', from);
        await store.commit('orders', to);
        await expectOffset(store, 'orders', to);
      }
    }
  });
}

export function order(suite: Harness): void {
  suite.promise('a commit behind is refused with OFFSET_BEHIND and changes nothing', [], async (store) => {
    await store.commit('orders', seq(4242), { metadata: { host: 'a' } });
    await expectUnchanged(store, async () => {
      await expectRefusal('commit() behind', 'behind', () =>
        store.commit('orders', seq(1717), { metadata: { host: 'b' } }),
      );
    });
    await expectOffset(store, 'orders', seq(4242));
  });
  suite.promise('the refusal of a commit behind names the source and both offsets', [], async (store) => {
    await store.commit('orders', seq(4242));
    const error = await expectRefusal('commit() behind', 'behind', () => store.commit('orders', seq(1717)));
    expectSource(error, 'orders');
    for (const part of ['4242', '1717', 'orders']) {
      assert.ok(error.message.includes(part), `Expected the message to name ${part}, got: ${error.message}`);
    }
  });
  suite.promise('allowRegression goes back', [], async (store) => {
    await store.commit('orders', seq(9));
    await store.commit('orders', seq(5), { allowRegression: true });
    await expectOffset(store, 'orders', seq(5));
    await expectRefusal('commit() behind, after going back once', 'behind', () =>
      store.commit('orders', seq(4)),
    );
    await expectRefusal('commit() behind with allowRegression: false', 'behind', () =>
      store.commit('orders', seq(4), { allowRegression: false }),
    );
  });
  suite.promise('the committed offset again is a no-op', [], async (store) => {
    for (const [index, offset] of ONE_OF_EACH_KIND.entries()) {
      await store.commit(`source-${index}`, offset);
      await store.commit(`source-${index}`, offset);
      await store.commit(`source-${index}`, offset, { allowRegression: true });
      await expectOffset(store, `source-${index}`, offset);
    }
  });
  suite.promise('the committed offset again does not change committedAt', ['inspect'], async (store) => {
    await store.commit('orders', seq(5), { metadata: { host: 'a' } });
    const first = await committedAtMs(store, 'orders');
    await clockToMove();
    await store.commit('orders', seq(5));
    await store.commit('orders', seq(5), { metadata: { host: 'a' } });
    await store.commit('orders', seq(5), { allowRegression: true });
    assert.equal(await committedAtMs(store, 'orders'), first, 'Expected committedAt to stay');
  });
}
