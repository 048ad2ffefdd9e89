import { describe, expect, it } from '@jest/globals';
import { Offset } from '../../../lib/offset.js';
import { encodeEntry } from '../../../lib/stores/file/codec.js';
import { Entries, type Entry } from '../../../lib/stores/file/entries.js';

const entry = (source: string, n: number): Entry =>
  encodeEntry(source, { offset: Offset.sequence(n), epoch: 0, committedAt: new Date(0) });

describe('entries', () => {
  it('are found by their sources', () => {
    const entries = Entries.of([entry('a', 1), entry('b', 2)]);
    expect(entries.get('b')).toEqual(entry('b', 2));
    expect(entries.get('c')).toBeUndefined();
    expect(entries.size).toBe(2);
    expect(entries.sources()).toEqual(['a', 'b']);
  });

  it('of a source that stands there more than once are the last, in the place of the first', () => {
    const entries = Entries.of([entry('a', 1), entry('b', 2), entry('a', 3), entry('c', 4), entry('a', 5)]);
    expect(entries.list).toEqual([entry('a', 5), entry('b', 2), entry('c', 4)]);
    expect(entries.get('a')).toEqual(entry('a', 5));
    expect(entries.get('c')).toEqual(entry('c', 4));
  });

  it('never change: what is made of them is another list', () => {
    const first = Entries.of([entry('a', 1)]);
    const second = first.with([entry('a', 2), entry('b', 1), entry('b', 2)]);
    expect(first.list).toEqual([entry('a', 1)]);
    expect(first.get('b')).toBeUndefined();
    expect(second.list).toEqual([entry('a', 2), entry('b', 2)]);
  });

  it('take a list in which no source stands twice as it is', () => {
    const list = [entry('a', 1)];
    const entries = Entries.of(list);
    expect(entries.list).toBe(list);
    expect(entries.with([entry('a', 2)]).list).not.toBe(list);
    expect(Entries.NONE.with([]).list).toEqual([]);
  });
});
