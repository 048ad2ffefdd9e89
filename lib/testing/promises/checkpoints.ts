/** What is kept beside the offset, and that nobody else holds a part of it. */
import assert from 'node:assert/strict';
import type { Metadata } from '../../metadata.js';
import { Offset } from '../../offset.js';
import type { CommitEntry } from '../../offset-store.js';
import {
  committedAtMs,
  expectAll,
  expectAllCheckpoints,
  expectCheckpoint,
  expectOffset,
  expectRefusal,
  expectUnchanged,
  render,
} from '../expect.js';
import type { Harness } from '../harness.js';
import { illegalMetadata, LEGAL_METADATA, OFFSETS } from '../samples.js';
import { clockToMove, seq } from './support.js';

/** How far a server's clock may be from ours before we say that a time is wrong, in milliseconds. */
const CLOCK_TOLERANCE_MS = 3_600_000;

export function inspection(suite: Harness): void {
  suite.promise('inspect() gives undefined where nothing was committed', ['inspect'], async (store) => {
    assert.equal(await store.inspect('orders'), undefined);
  });
  suite.promise('inspect() gives offset, epoch and metadata', ['inspect'], async (store) => {
    await store.commit('orders', seq(5), { metadata: { host: 'a' } });
    await expectCheckpoint(store, 'orders', { offset: seq(5), epoch: 0, metadata: { host: 'a' } });
  });
  suite.promise('inspect() shows the epoch that a clear raised', ['inspect', 'epoch'], async (store) => {
    await store.clear('orders');
    await store.commit('orders', seq(5));
    await expectCheckpoint(store, 'orders', { offset: seq(5), epoch: 1 });
  });
  suite.promise('inspect() shows every kind of offset as it was', ['inspect'], async (store) => {
    for (const [index, offset] of OFFSETS.entries()) {
      await store.commit(`source-${index}`, offset);
      await expectCheckpoint(store, `source-${index}`, { offset, epoch: 0 });
    }
  });
  suite.promise('committedAt is the time of the commit', ['inspect'], async (store) => {
    const before = Date.now();
    await store.commit('orders', seq(5));
    const first = await committedAtMs(store, 'orders');
    assert.ok(
      first >= before - CLOCK_TOLERANCE_MS && first <= Date.now() + CLOCK_TOLERANCE_MS,
      `Expected committedAt to be about ${new Date(before).toISOString()}, got ${new Date(first).toISOString()}`,
    );
    await clockToMove();
    await store.commit('orders', seq(6));
    const second = await committedAtMs(store, 'orders');
    assert.ok(second > first, `Expected committedAt to be later than ${first}, got ${second}`);
  });
  suite.promise(
    'inspectAll() gives the checkpoint of every source that has an offset',
    ['inspectAll', 'epoch'],
    async (store) => {
      await expectAllCheckpoints(store, []);
      await store.commit('orders', seq(5), { metadata: { host: 'a' } });
      await store.commit('cleared', seq(5));
      await store.clear('cleared');
      await store.clear('payments');
      await store.commit('payments', Offset.custom('token'));
      await expectAllCheckpoints(store, [
        ['orders', { offset: seq(5), epoch: 0, metadata: { host: 'a' } }],
        ['payments', { offset: Offset.custom('token'), epoch: 1 }],
      ]);
    },
  );
}

export function metadata(suite: Harness): void {
  suite.promise('every legal kind of value comes back as it was', ['inspect'], async (store) => {
    await store.commit('orders', seq(5), { metadata: LEGAL_METADATA });
    await expectCheckpoint(store, 'orders', { offset: seq(5), epoch: 0, metadata: LEGAL_METADATA });
  });
  suite.promise('properties that are undefined are left out, and -0 is 0', ['inspect'], async (store) => {
    await store.commit('orders', seq(5), { metadata: { kept: 1, dropped: undefined, zero: -0 } });
    await expectCheckpoint(store, 'orders', { offset: seq(5), epoch: 0, metadata: { kept: 1, zero: 0 } });
  });
  suite.promise('metadata is replaced as a whole by that of another commit', ['inspect'], async (store) => {
    await store.commit('orders', seq(5), { metadata: { host: 'a', lag: 1 } });
    await store.commit('orders', seq(6), { metadata: { host: 'b' } });
    await expectCheckpoint(store, 'orders', { offset: seq(6), epoch: 0, metadata: { host: 'b' } });
  });
  suite.promise('a commit of another offset without metadata drops it', ['inspect'], async (store) => {
    await store.commit('orders', seq(5), { metadata: { host: 'a' } });
    await store.commit('orders', seq(6));
    await expectCheckpoint(store, 'orders', { offset: seq(6), epoch: 0 });
  });
  suite.promise('the committed offset again without metadata keeps it', ['inspect'], async (store) => {
    await store.commit('orders', seq(5), { metadata: { host: 'a' } });
    await store.commit('orders', seq(5));
    await expectCheckpoint(store, 'orders', { offset: seq(5), epoch: 0, metadata: { host: 'a' } });
  });
  suite.promise(
    'the committed offset again with other metadata replaces it, and is a commit',
    ['inspect'],
    async (store) => {
      await store.commit('orders', seq(5), { metadata: { host: 'a' } });
      const first = await committedAtMs(store, 'orders');
      await clockToMove();
      await store.commit('orders', seq(5), { metadata: { host: 'b' } });
      await expectCheckpoint(store, 'orders', { offset: seq(5), epoch: 0, metadata: { host: 'b' } });
      const second = await committedAtMs(store, 'orders');
      assert.ok(second > first, `Expected committedAt to be later than ${first}, got ${second}`);
    },
  );
  suite.promise('clear() forgets the metadata', ['inspect'], async (store) => {
    await store.commit('orders', seq(5), { metadata: { host: 'a' } });
    await store.clear('orders');
    await store.commit('orders', seq(5));
    assert.equal(render((await store.inspect('orders'))?.metadata), 'undefined');
  });
  suite.promise(
    'what cannot be kept is refused with OFFSET_SERIALIZATION, and nothing is changed',
    ['inspect'],
    async (store) => {
      await store.commit('orders', seq(5), { metadata: { host: 'a' } });
      await expectUnchanged(store, async () => {
        for (const [what, value] of illegalMetadata()) {
          await expectRefusal(`commit() with the metadata ${what}`, 'serialization', () =>
            store.commit('orders', seq(6), { metadata: value as Metadata }),
          );
        }
      });
      assert.equal(
        ({} as { polluted?: unknown }).polluted,
        undefined,
        'Expected no prototype to be polluted',
      );
    },
  );
}

export function copies(suite: Harness): void {
  suite.promise('a Date changed after the call changes nothing', [], async (store) => {
    const date = new Date(1_000);
    const committing = store.commit('orders', { kind: 'timestamp', value: date });
    date.setTime(9_000);
    await committing;
    await expectOffset(store, 'orders', Offset.timestamp(new Date(1_000)));
    date.setTime(10_000);
    await expectOffset(store, 'orders', Offset.timestamp(new Date(1_000)));
  });
  suite.promise('a Date changed after get() or getAll() changes nothing', [], async (store) => {
    const kept = Offset.timestamp(new Date(1_000));
    await store.commit('orders', kept);
    const change = (offset: Offset | undefined): void => {
      if (offset?.kind === 'timestamp') offset.value.setTime(9_000);
    };
    change(await store.get('orders'));
    await expectOffset(store, 'orders', kept);
    change((await store.getAll()).get('orders'));
    await expectOffset(store, 'orders', kept);
  });
  suite.promise('a Date changed after reset() changes nothing', ['reset'], async (store) => {
    const date = new Date(1_000);
    const resetting = store.reset('orders', { kind: 'timestamp', value: date });
    date.setTime(9_000);
    await resetting;
    await expectOffset(store, 'orders', Offset.timestamp(new Date(1_000)));
  });
  suite.promise('the Map of getAll() is the caller\u2019s own, and stays as it was', [], async (store) => {
    await store.commit('orders', seq(5));
    const all = await store.getAll();
    await store.commit('orders', seq(6));
    await store.commit('payments', seq(1));
    assert.equal(all.size, 1, 'Expected the Map not to grow with later commits');
    assert.equal(Offset.format(all.get('orders') ?? Offset.latest), 'seq:5');
    all.set('intruder', seq(1));
    all.delete('orders');
    await expectAll(store, [
      ['orders', seq(6)],
      ['payments', seq(1)],
    ]);
  });
  suite.promise('metadata changed after the call changes nothing', ['inspect'], async (store) => {
    const given = { host: 'a', list: [1], nested: { date: new Date(1_000) } };
    const committing = store.commit('orders', seq(5), { metadata: given });
    given.host = 'b';
    given.list.push(2);
    given.nested.date.setTime(9_000);
    await committing;
    const kept = { host: 'a', list: [1], nested: { date: new Date(1_000) } };
    await expectCheckpoint(store, 'orders', { offset: seq(5), epoch: 0, metadata: kept });
  });
  suite.promise('a checkpoint changed after inspect() changes nothing', ['inspect'], async (store) => {
    const kept = { list: [1], nested: { date: new Date(1_000) } };
    await store.commit('orders', Offset.timestamp(new Date(1_000)), { metadata: kept });
    const committedAt = await committedAtMs(store, 'orders');
    vandalise(await store.inspect('orders'));
    vandalise((await store.inspectAll?.())?.get('orders'));
    await expectCheckpoint(store, 'orders', {
      offset: Offset.timestamp(new Date(1_000)),
      epoch: 0,
      metadata: { list: [1], nested: { date: new Date(1_000) } },
    });
    assert.equal(await committedAtMs(store, 'orders'), committedAt, 'Expected committedAt to stay');
  });
  suite.promise('entries changed after the call change nothing', ['commitMany'], async (store) => {
    const date = new Date(1_000);
    const first = { source: 'orders', offset: { kind: 'timestamp', value: date } as Offset };
    const entries: CommitEntry[] = [first];
    const committing = store.commitMany(entries);
    date.setTime(9_000);
    first.source = 'intruder';
    entries.push({ source: 'payments', offset: seq(1) });
    await committing;
    await expectAll(store, [['orders', Offset.timestamp(new Date(1_000))]]);
  });
}

/** Changes whatever of a checkpoint can be changed. */
function vandalise(checkpoint: object | undefined): void {
  for (const value of Object.values(checkpoint ?? {})) {
    if (typeof value !== 'object' || value === null) continue;
    vandalise(value as object);
    if (Object.prototype.toString.call(value) === '[object Date]') (value as Date).setTime(9_000);
    if (Array.isArray(value) && !Object.isFrozen(value)) value.push('intruder');
    Reflect.set(value, 'intruder', true);
  }
}
