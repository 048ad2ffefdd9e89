/** Source names: what is taken, told apart and refused. */
import assert from 'node:assert/strict';
import type { Offset } from '../../offset.js';
import type { OffsetStore } from '../../offset-store.js';
import { expectAll, expectOffset, expectRefusal, expectUnchanged, render } from '../expect.js';
import type { Harness } from '../harness.js';
import { HOSTILE_NAMES, REFUSED_NAMES } from '../samples.js';
import { seq } from './support.js';

export function names(suite: Harness): void {
  suite.promise('names are told apart byte for byte, whatever they hold', [], async (store) => {
    const all = HOSTILE_NAMES.map((name, index): [string, Offset] => [name, seq(index)]);
    for (const [name, offset] of all) {
      await expectOffset(store, name, undefined);
      await store.commit(name, offset);
    }
    for (const [name, offset] of all) await expectOffset(store, name, offset);
    await expectAll(store, all);
  });
  suite.promise('clear() of a name leaves those that look alike', [], async (store) => {
    for (const [index, name] of HOSTILE_NAMES.entries()) await store.commit(name, seq(index));
    for (const [index, name] of HOSTILE_NAMES.entries()) {
      await store.clear(name);
      await expectOffset(store, name, undefined);
      const next = HOSTILE_NAMES[index + 1];
      if (next !== undefined) await expectOffset(store, next, seq(index + 1));
    }
    await expectAll(store, []);
  });
  suite.promise('epochs belong to one name each, whatever it holds', ['epoch', 'claim'], async (store) => {
    for (const name of HOSTILE_NAMES) {
      assert.equal(await store.epoch(name), 0);
      assert.equal(await store.claim(name), 1);
    }
    for (const name of HOSTILE_NAMES) assert.equal(await store.epoch(name), 1);
  });

  const refused = (method: string, call: (store: OffsetStore, name: string) => unknown) => {
    return async (store: OffsetStore): Promise<void> => {
      await store.commit('orders', seq(5));
      await expectUnchanged(store, async () => {
        for (const name of REFUSED_NAMES) {
          const what = typeof name === 'symbol' ? 'a symbol' : render(name).slice(0, 40);
          await expectRefusal(`${method} with the name ${what}`, 'argument', () =>
            call(store, name as string),
          );
        }
      });
    };
  };
  const title = (method: string): string =>
    `${method}() refuses what is no name with a TypeError or RangeError, by a rejection, and changes nothing`;
  suite.promise(
    title('get'),
    [],
    refused('get', (store, name) => store.get(name)),
  );
  suite.promise(
    title('commit'),
    [],
    refused('commit', (store, name) => store.commit(name, seq(1))),
  );
  suite.promise(
    title('clear'),
    [],
    refused('clear', (store, name) => store.clear(name)),
  );
  suite.promise(
    title('commitMany'),
    ['commitMany'],
    refused('commitMany', (store, name) =>
      store.commitMany?.([
        { source: 'orders', offset: seq(7) },
        { source: name, offset: seq(1) },
      ]),
    ),
  );
  suite.promise(
    title('inspect'),
    ['inspect'],
    refused('inspect', (store, name) => store.inspect?.(name)),
  );
  suite.promise(
    title('epoch'),
    ['epoch'],
    refused('epoch', (store, name) => store.epoch?.(name)),
  );
  suite.promise(
    title('reset'),
    ['reset'],
    refused('reset', (store, name) => store.reset?.(name, seq(1))),
  );
  suite.promise(
    title('claim'),
    ['claim'],
    refused('claim', (store, name) => store.claim?.(name)),
  );
}
