/** Every call, before, while and after the store closes. */
import assert from 'node:assert/strict';
import { setImmediate as turn } from 'node:timers/promises';
import type { Offset } from '../../offset.js';
import type { OffsetStore } from '../../offset-store.js';
import { expectAll, expectRefusal, expectSettled } from '../expect.js';
import type { Harness } from '../harness.js';
import { seq } from './support.js';

export function closing(suite: Harness): void {
  const calls = (store: OffsetStore): Array<readonly [string, () => Promise<unknown> | undefined]> => [
    ['get()', () => store.get('orders')],
    ['commit()', () => store.commit('payments', seq(1))],
    ['getAll()', () => store.getAll()],
    ['clear()', () => store.clear('cleared')],
    ['commitMany()', () => store.commitMany?.([{ source: 'returns', offset: seq(1) }])],
    ['commitMany() of none', () => store.commitMany?.([])],
    ['inspect()', () => store.inspect?.('orders')],
    ['inspectAll()', () => store.inspectAll?.()],
    ['epoch()', () => store.epoch?.('orders')],
    ['reset()', () => store.reset?.('reset', seq(1))],
    ['claim()', () => store.claim?.('claimed')],
    ['clearAll()', () => store.clearAll()],
  ];
  const expectClosed = async (when: string, store: OffsetStore): Promise<void> => {
    for (const [what, call] of calls(store)) {
      const method = /^\w+/.exec(what)?.[0] as keyof OffsetStore;
      if (store[method] === undefined) continue;
      await expectRefusal(`${what} ${when}`, 'closed', call);
    }
  };

  suite.promise('every call after close() rejects with ClosedError', ['close'], async (store) => {
    await store.commit('orders', seq(5));
    await store.close();
    await expectClosed('after close()', store);
  });
  suite.promise(
    'every call rejects with ClosedError from the call of close() on',
    ['close'],
    async (store) => {
      await store.commit('orders', seq(5));
      const committing = store.commit('orders', seq(6));
      const closed = store.close();
      const refused = expectClosed('while closing', store);
      await Promise.all([committing, closed, refused]);
    },
  );
  suite.promise('calls made before close() are finished', ['close'], async (store) => {
    await store.commit('orders', seq(5));
    const made = Promise.allSettled(calls(store).map(async ([, call]) => call()));
    await store.close();
    expectSettled('calls made before close()', await made);
  });
  suite.promise(
    'commits made before close() in the same tick are there when the store is opened again',
    ['close', 'reopen'],
    async (store, scene) => {
      const all = Array.from({ length: 20 }, (_, index): [string, Offset] => [`source-${index}`, seq(index)]);
      const committing = Promise.allSettled(all.map(([source, offset]) => store.commit(source, offset)));
      await store.close();
      await expectAll(await scene.reopen(), all);
      expectSettled('commits before close()', await committing);
    },
  );
  suite.promise('close() is over when the calls made before it are', ['close'], async (store) => {
    let finished = 0;
    const committing = Promise.allSettled(
      Array.from({ length: 10 }, async (_, index) => {
        await store.commit(`source-${index}`, seq(index));
        finished++;
      }),
    );
    await store.close();
    // Those that resolved may still have their turn to come in this tick.
    await turn();
    const finishedBefore = finished;
    expectSettled('commits before close()', await committing);
    assert.equal(finishedBefore, 10, `Expected 10 commits to be over when close() is, got ${finishedBefore}`);
  });
  suite.promise('close() twice, and twice at once, does nothing more', ['close'], async (store) => {
    await store.commit('orders', seq(5));
    const [first, second] = await Promise.all([store.close(), store.close()]);
    assert.deepEqual([first, second, await store.close()], [undefined, undefined, undefined]);
  });
  suite.promise('close() of a store that was never used succeeds', ['close'], async (store) => {
    await store.close();
  });
}
