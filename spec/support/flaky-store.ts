import type { Checkpoint } from '../../lib/checkpoint.js';
import type { Offset } from '../../lib/offset.js';
import type { CommitEntry, CommitOptions, OffsetStore } from '../../lib/offset-store.js';
import { InMemoryOffsetStore } from '../../lib/stores/memory.js';

export type Method = Exclude<keyof OffsetStore, 'close'>;

export interface StoreCallRecord {
  readonly method: Method;
  /** Empty for calls that are about all sources. */
  readonly sources: readonly string[];
  readonly offset?: Offset | undefined;
  readonly options?: CommitOptions | undefined;
  readonly entries?: readonly CommitEntry[] | undefined;
}

/**
 * What becomes of a call: nothing special, a rejection, a throw, a rejection though it took effect, or no answer
 * until the test gives one.
 */
export type Fate =
  | undefined
  | { readonly reject: unknown }
  | { readonly throw: unknown }
  | { readonly doAndReject: unknown }
  | 'hold';

/** A call without an answer yet. It takes effect when it is let through, not when it was made. */
export interface HeldCall extends StoreCallRecord {
  letThrough(): void;
  reject(error: unknown): void;
}

/** A store in memory whose calls fail, wait and are counted as the test says. */
export class FlakyStore implements OffsetStore {
  readonly inner: InMemoryOffsetStore;
  readonly calls: StoreCallRecord[] = [];
  readonly held: HeldCall[] = [];
  /** Decides on each call. */
  fate: (call: StoreCallRecord) => Fate = () => undefined;
  /** Told of each answer, a moment before the caller is; `error` is absent when the call succeeded. */
  answered: (call: StoreCallRecord, error?: unknown) => void = () => undefined;
  /** The most commits of one source that were under way at once. */
  mostAtOnce = 0;
  readonly #underWay = new Map<string, number>();

  constructor(inner = new InMemoryOffsetStore()) {
    this.inner = inner;
  }

  /** The offsets of the commits made for a source, joint ones included, formatted as `seq` values. */
  committed(source: string): bigint[] {
    return this.calls.flatMap((call) => {
      const offsets =
        call.method === 'commit' && call.sources[0] === source
          ? [call.offset]
          : (call.entries ?? []).filter((entry) => entry.source === source).map((entry) => entry.offset);
      return offsets.flatMap((offset) => (offset?.kind === 'sequence' ? [offset.value] : []));
    });
  }

  /** How often a method was called. */
  count(method: Method): number {
    return this.calls.filter((call) => call.method === method).length;
  }

  /** The calls of these methods wait for an answer, the others go through. */
  hold(...methods: Method[]): void {
    this.fate = (call) => (methods.includes(call.method) ? 'hold' : undefined);
  }

  /** The next calls of a method are rejected with these, then all go through. */
  failNext(method: Method, ...errors: unknown[]): void {
    const left = [...errors];
    this.fate = (call) => (call.method === method && left.length > 0 ? { reject: left.shift() } : undefined);
  }

  /** Lets what waits through, and all that comes from now on. */
  open(): void {
    this.fate = () => undefined;
    for (const call of this.held.splice(0)) call.letThrough();
  }

  get(source: string): Promise<Offset | undefined> {
    return this.#call({ method: 'get', sources: [source] }, () => this.inner.get(source));
  }

  commit(source: string, offset: Offset, options?: CommitOptions): Promise<void> {
    return this.#call({ method: 'commit', sources: [source], offset, options }, () =>
      this.inner.commit(source, offset, options),
    );
  }

  commitMany(given: Iterable<CommitEntry>): Promise<void> {
    const entries = [...given];
    return this.#call({ method: 'commitMany', sources: entries.map((entry) => entry.source), entries }, () =>
      this.inner.commitMany(entries),
    );
  }

  getAll(): Promise<Map<string, Offset>> {
    return this.#call({ method: 'getAll', sources: [] }, () => this.inner.getAll());
  }

  clear(source: string): Promise<void> {
    return this.#call({ method: 'clear', sources: [source] }, () => this.inner.clear(source));
  }

  clearAll(): Promise<void> {
    return this.#call({ method: 'clearAll', sources: [] }, () => this.inner.clearAll());
  }

  inspect(source: string): Promise<Checkpoint | undefined> {
    return this.#call({ method: 'inspect', sources: [source] }, () => this.inner.inspect(source));
  }

  inspectAll(): Promise<Map<string, Checkpoint>> {
    return this.#call({ method: 'inspectAll', sources: [] }, () => this.inner.inspectAll());
  }

  epoch(source: string): Promise<number> {
    return this.#call({ method: 'epoch', sources: [source] }, () => this.inner.epoch(source));
  }

  reset(source: string, offset: Offset): Promise<number> {
    return this.#call({ method: 'reset', sources: [source], offset }, () => this.inner.reset(source, offset));
  }

  claim(source: string): Promise<number> {
    return this.#call({ method: 'claim', sources: [source] }, () => this.inner.claim(source));
  }

  // Not async: a fate of `throw` must throw.
  #call<T>(call: StoreCallRecord, apply: () => Promise<T>): Promise<T> {
    this.calls.push(call);
    const fate = this.fate(call);
    if (fate === undefined) return this.#counted(call, apply);
    if (fate === 'hold') {
      return this.#counted(
        call,
        () =>
          new Promise<T>((resolve, reject) => {
            this.held.push({ ...call, letThrough: () => resolve(apply()), reject });
          }),
      );
    }
    if ('throw' in fate) throw fate.throw;
    if ('doAndReject' in fate) {
      return this.#counted(call, async () => {
        await apply();
        throw fate.doAndReject;
      });
    }
    return this.#counted(call, () => Promise.reject(fate.reject));
  }

  async #counted<T>(call: StoreCallRecord, apply: () => Promise<T>): Promise<T> {
    const counted = call.method === 'commit' || call.method === 'commitMany' ? call.sources : [];
    for (const source of counted) {
      const underWay = (this.#underWay.get(source) ?? 0) + 1;
      this.#underWay.set(source, underWay);
      this.mostAtOnce = Math.max(this.mostAtOnce, underWay);
    }
    try {
      const result = await apply();
      this.answered(call);
      return result;
    } catch (error) {
      this.answered(call, error);
      throw error;
    } finally {
      for (const source of counted) this.#underWay.set(source, this.#underWay.get(source)! - 1);
    }
  }
}

export const FIVE = ['get', 'commit', 'getAll', 'clear', 'clearAll'] as const;

/** The same store with these methods alone. */
export function only(store: OffsetStore, methods: readonly (keyof OffsetStore)[]): OffsetStore {
  const entries = methods.map((name) => [name, (store[name] as () => unknown).bind(store)] as const);
  return Object.fromEntries(entries) as unknown as OffsetStore;
}

/** The same store without these methods. */
export function without(store: OffsetStore, ...methods: (keyof OffsetStore)[]): OffsetStore {
  const all = [...FIVE, 'commitMany', 'inspect', 'inspectAll', 'epoch', 'reset', 'claim'] as const;
  return only(
    store,
    all.filter((name) => !methods.includes(name)),
  );
}
