import { describe, expect, it } from '@jest/globals';
import { InvalidOffsetError } from '../../lib/errors.js';
import { Offset } from '../../lib/offset.js';
import type { CommitEntry } from '../../lib/offset-store.js';
import { InMemoryOffsetStore } from '../../lib/stores/memory.js';
import { testOffsetStore } from '../../lib/testing/index.js';
import { EVERY_CAPABILITY } from '../support/every-capability.js';

testOffsetStore({
  name: 'InMemoryOffsetStore',
  create: () => new InMemoryOffsetStore(),
  capabilities: EVERY_CAPABILITY,
  test: { describe, it },
});

describe('new InMemoryOffsetStore()', () => {
  it.each([
    ['a Map', new Map([['orders', 5]])],
    ['entries', [['orders', 5]] as const],
    ['an object', { orders: 5 }],
    ['offsets', { orders: Offset.sequence(5) }],
  ])('begins with %s', async (_, initial) => {
    const store = new InMemoryOffsetStore(initial);
    expect(await store.getAll()).toEqual(new Map([['orders', Offset.sequence(5)]]));
    expect(await store.inspect('orders')).toEqual({
      offset: Offset.sequence(5),
      epoch: 0,
      committedAt: expect.any(Date),
    });
  });

  it('copies what it begins with', async () => {
    const initial = new Map([['orders', new Date(1_000)]]);
    const store = new InMemoryOffsetStore(initial);
    initial.get('orders')?.setTime(9_000);
    initial.set('intruder', new Date(0));
    expect(await store.getAll()).toEqual(new Map([['orders', Offset.timestamp(new Date(1_000))]]));
  });

  it.each([null, 5, 'orders', () => ({})])('refuses to begin with %p', (initial) => {
    expect(() => new InMemoryOffsetStore(initial as unknown as Record<string, number>)).toThrow(TypeError);
  });

  it('refuses names that are none, and what is no offset', () => {
    expect(() => new InMemoryOffsetStore({ '': 5 })).toThrow(RangeError);
    expect(() => new InMemoryOffsetStore([[5 as unknown as string, 5]])).toThrow(TypeError);
    expect(() => new InMemoryOffsetStore({ orders: -1 })).toThrow(InvalidOffsetError);
  });
});

describe('the caller\u2019s own code, run while the store reads its arguments', () => {
  it('does not come between reading and writing in commitMany()', async () => {
    const store = new InMemoryOffsetStore({ orders: 1 });
    const inner: Array<Promise<void>> = [];
    function* entries(): Generator<CommitEntry> {
      yield { source: 'orders', offset: Offset.sequence(5) };
      inner.push(store.commit('orders', Offset.sequence(9)));
    }
    await expect(store.commitMany(entries())).rejects.toMatchObject({ code: 'OFFSET_BEHIND' });
    await Promise.all(inner);
    expect(await store.get('orders')).toEqual(Offset.sequence(9));
  });

  it('does not come between reading and writing in commit() and reset()', async () => {
    const store = new InMemoryOffsetStore({ orders: 1 });
    const inner: Array<Promise<unknown>> = [];
    const options = {
      get allowRegression(): boolean {
        inner.push(store.commit('orders', Offset.sequence(9)));
        return false;
      },
    };
    await expect(store.commit('orders', Offset.sequence(5), options)).rejects.toMatchObject({
      code: 'OFFSET_BEHIND',
    });
    const offset = {
      kind: 'sequence' as const,
      get value(): bigint {
        inner.push(store.claim('orders'));
        return 3n;
      },
    };
    expect(await store.reset('orders', offset)).toBe(2);
    await Promise.all(inner);
    expect(await store.get('orders')).toEqual(Offset.sequence(3));
  });
});
