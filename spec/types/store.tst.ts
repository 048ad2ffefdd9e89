import { describe, expect, test } from 'tstyche';
import {
  type Checkpoint,
  type CommitEntry,
  type CommitOptions,
  FileOffsetStore,
  InMemoryOffsetStore,
  Offset,
  type OffsetStore,
  OffsetTracker,
} from 'streamweave-offset';

describe('OffsetStore', () => {
  test('is five methods, whoever wrote them', () => {
    const offsets = new Map<string, Offset>();
    // What the parameters are is told by the interface.
    const store: OffsetStore = {
      get: async (source) => {
        expect(source).type.toBe<string>();
        return offsets.get(source);
      },
      commit: async (source, offset, options) => {
        expect(offset).type.toBe<Offset>();
        expect(options).type.toBe<CommitOptions | undefined>();
        offsets.set(source, offset);
      },
      getAll: async () => new Map(offsets),
      clear: async (source) => void offsets.delete(source),
      clearAll: async () => offsets.clear(),
    };
    expect(OffsetTracker).type.toBeConstructableWith(store);
    // And one that nobody annotated.
    const plain = {
      get: async (source: string) => offsets.get(source),
      commit: async (source: string, offset: Offset) => void offsets.set(source, offset),
      getAll: async () => new Map(offsets),
      clear: async (source: string) => void offsets.delete(source),
      clearAll: async () => offsets.clear(),
    };
    expect(plain).type.toBeAssignableTo<OffsetStore>();
    expect(OffsetTracker).type.toBeConstructableWith(plain);
  });

  test('lacks none of the five', () => {
    expect<Omit<OffsetStore, 'clearAll'>>().type.not.toBeAssignableTo<OffsetStore>();
    expect<
      Pick<OffsetStore, 'get' | 'commit' | 'getAll' | 'clear' | 'clearAll'>
    >().type.toBeAssignableTo<OffsetStore>();
    expect(OffsetTracker).type.not.toBeConstructableWith(new Map<string, Offset>());
    expect(OffsetTracker).type.not.toBeConstructableWith({});
  });

  test('answers with promises, of offsets', () => {
    type With<K extends keyof OffsetStore, F> = Omit<OffsetStore, K> & Record<K, F>;
    expect<With<'get', (source: string) => Offset>>().type.not.toBeAssignableTo<OffsetStore>();
    expect<With<'get', (source: string) => Promise<bigint>>>().type.not.toBeAssignableTo<OffsetStore>();
    expect<With<'getAll', () => Promise<Record<string, Offset>>>>().type.not.toBeAssignableTo<OffsetStore>();
  });

  test('has capabilities that are asked for before they are used', () => {
    const store = {} as OffsetStore;
    // @ts-expect-error Cannot invoke an object which is possibly 'undefined'
    void store.reset('orders', Offset.earliest);
    expect(store.inspect?.('orders')).type.toBe<Promise<Checkpoint | undefined> | undefined>();
    expect(store.commitMany?.([{ source: 'a', offset: Offset.sequence(1) }])).type.toBe<
      Promise<void> | undefined
    >();
    expect<CommitEntry>().type.toBeAssignableTo<CommitOptions>();
  });
});

describe('the stores of this library', () => {
  test('are OffsetStores', () => {
    expect<InMemoryOffsetStore>().type.toBeAssignableTo<OffsetStore>();
    expect<FileOffsetStore>().type.toBeAssignableTo<OffsetStore>();
  });

  test('need no guard for what they have', () => {
    const store = new InMemoryOffsetStore();
    expect(store.inspect('orders')).type.toBe<Promise<Checkpoint | undefined>>();
    expect(store.reset('orders', 5)).type.toBe<Promise<number>>();
    expect(store.claim('orders')).type.toBe<Promise<number>>();
  });

  test('begin with what is given', () => {
    expect(InMemoryOffsetStore).type.toBeConstructableWith({
      orders: 41,
      audit: new Date(0),
      mail: 'cursor',
    });
    expect(InMemoryOffsetStore).type.toBeConstructableWith(new Map([['orders', Offset.sequence(41)]]));
    expect(InMemoryOffsetStore).type.not.toBeConstructableWith({ orders: true });
    expect(FileOffsetStore).type.not.toBeConstructableWith();
    expect(FileOffsetStore).type.not.toBeConstructableWith('offsets.json', { maxBytes: 1 });
  });
});
