import { describe, expect, it } from '@jest/globals';
import { FencedError, InvalidOffsetError } from '../../lib/errors.js';
import { Offset } from '../../lib/offset.js';
import {
  applyClaim,
  applyClear,
  applyCommit,
  applyReset,
  checkCommit,
  copyOut,
  type SourceState,
} from '../../lib/stores/commit-rules.js';

const before = new Date('2026-01-01T00:00:00.000Z');
const after = new Date('2026-01-02T00:00:00.000Z');
const now = (): Date => after;

/** At 5, epoch 3, with metadata. */
const current: SourceState = {
  offset: Offset.sequence(5),
  epoch: 3,
  metadata: { host: 'a' },
  committedAt: before,
};

const commit = (offset: Parameters<typeof checkCommit>[0], options?: Parameters<typeof checkCommit>[1]) =>
  applyCommit('orders', current, checkCommit(offset, options), now);

describe('checkCommit()', () => {
  it('fills in what was not said', () => {
    const nothing = { epoch: undefined, metadata: undefined, allowRegression: false };
    for (const options of [undefined, {}, nothing]) {
      expect(checkCommit(1, options)).toEqual({ ...nothing, offset: Offset.sequence(1) });
    }
  });

  it('copies what was said', () => {
    const given = { offset: Offset.timestamp(new Date(before)), metadata: { at: new Date(before) } };
    const checked = checkCommit(given.offset, { metadata: given.metadata, epoch: 0, allowRegression: true });
    given.offset.value.setTime(0);
    given.metadata.at.setTime(0);
    expect(checked).toEqual({
      offset: Offset.timestamp(before),
      metadata: { at: before },
      epoch: 0,
      allowRegression: true,
    });
  });
});

describe('applyCommit()', () => {
  it('begins at epoch 0', () => {
    const committed = { offset: Offset.sequence(1), epoch: 0, committedAt: after };
    for (const epoch of [undefined, 0]) {
      expect(applyCommit('orders', undefined, checkCommit(1, { epoch }), now)).toStrictEqual(committed);
    }
    expect(() => applyCommit('orders', undefined, checkCommit(1, { epoch: 1 }), now)).toThrow(FencedError);
  });

  it('goes on in the same epoch, and drops metadata that was not given again', () => {
    expect(commit(6)).toStrictEqual({ offset: Offset.sequence(6), epoch: 3, committedAt: after });
    expect(commit(6, { epoch: 3, metadata: { host: 'b' } })).toStrictEqual({
      offset: Offset.sequence(6),
      epoch: 3,
      metadata: { host: 'b' },
      committedAt: after,
    });
  });

  it.each([0, 2, 4])('refuses epoch %d where the source is at 3, whatever the offset', (epoch) => {
    for (const offset of [4, 5, 6]) {
      expect(() => commit(offset, { epoch, allowRegression: true })).toThrow(FencedError);
      expect(() => commit(offset, { epoch })).toThrow(expect.objectContaining({ source: 'orders' }));
    }
  });

  it('changes nothing by the same offset, unless it comes with other metadata', () => {
    expect(commit(5)).toBe(current);
    expect(commit(5, { metadata: { host: 'a' } })).toBe(current);
    expect(commit(5, { metadata: { host: 'b' } })).toStrictEqual({
      ...current,
      metadata: { host: 'b' },
      committedAt: after,
    });
  });

  it('goes back only where that is allowed', () => {
    expect(() => commit(4)).toThrow(InvalidOffsetError);
    expect(() => commit(4)).toThrow(expect.objectContaining({ code: 'OFFSET_BEHIND', source: 'orders' }));
    expect(commit(4, { allowRegression: true }).offset).toEqual(Offset.sequence(4));
  });

  it('replaces offsets that have no order', () => {
    expect(commit('cursor').offset).toEqual(Offset.custom('cursor'));
    expect(commit(before).offset).toEqual(Offset.timestamp(before));
  });

  it('begins anew after a clear, in the epoch that the clear gave', () => {
    const cleared = applyClear(current);
    expect(applyCommit('orders', cleared, checkCommit(1, { epoch: 4 }), now)).toStrictEqual({
      offset: Offset.sequence(1),
      epoch: 4,
      committedAt: after,
    });
  });
});

describe('reset, claim and clear', () => {
  it('raise the epoch, of a source never seen from 0 to 1', () => {
    expect(applyReset(current, Offset.sequence(1), now)).toStrictEqual({
      offset: Offset.sequence(1),
      epoch: 4,
      committedAt: after,
    });
    expect(applyClaim(current)).toStrictEqual({ ...current, epoch: 4 });
    expect(applyClear(current)).toStrictEqual({ epoch: 4 });
    expect(applyReset(undefined, Offset.earliest, now).epoch).toBe(1);
    expect(applyClaim(undefined)).toStrictEqual({ epoch: 1 });
    expect(applyClear(undefined)).toStrictEqual({ epoch: 1 });
  });
});

describe('copyOut()', () => {
  it('gives nothing for a source without an offset', () => {
    expect(copyOut(undefined)).toBeUndefined();
    expect(copyOut({ epoch: 7 })).toBeUndefined();
  });

  it('gives a copy that shares nothing with what is kept', () => {
    const kept: SourceState = {
      offset: Offset.timestamp(before),
      epoch: 1,
      metadata: { at: new Date(before) },
      committedAt: new Date(before),
    };
    const copy = copyOut(kept)!;
    expect(copy).toStrictEqual(kept);
    (copy.metadata!['at'] as Date).setTime(0);
    (copy.offset as { value: Date }).value.setTime(0);
    copy.committedAt.setTime(0);
    expect(kept).toStrictEqual({
      offset: Offset.timestamp(before),
      epoch: 1,
      metadata: { at: before },
      committedAt: before,
    });
    expect(copyOut({ ...kept, metadata: undefined })).toStrictEqual({
      offset: Offset.timestamp(before),
      epoch: 1,
      committedAt: before,
    });
  });
});
