import { Offset } from '../../lib/offset.js';
import type { Checkpoint } from '../../lib/checkpoint.js';
import type { Metadata } from '../../lib/metadata.js';
import type { CommitEntry, CommitOptions } from '../../lib/offset-store.js';
import type { SourceState } from '../../lib/stores/commit-rules.js';
import { type Disk, DiskStore } from './disk-store.js';

/** A store that breaks one promise, and the title of the test that has to say so. */
export interface BrokenStore {
  readonly flaw: string;
  readonly promise: string;
  readonly Store: new (disk?: Disk) => DiskStore;
}

const tick = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** Every one is the store that holds the contract, with the one flaw that its name says. */
export const BROKEN_STORES: readonly BrokenStore[] = [
  {
    flaw: 'says that there is nothing where reading failed',
    promise:
      'source names: get() refuses what is no name with a TypeError or RangeError, by a rejection, and changes nothing',
    Store: class extends DiskStore {
      override async get(source: string): Promise<Offset | undefined> {
        return super.get(source).catch(() => undefined);
      }
    },
  },
  {
    flaw: 'keeps the first offset',
    promise: 'get, commit, getAll: a later commit replaces an earlier one',
    Store: class extends DiskStore {
      override async commit(source: string, offset: Offset, options?: CommitOptions): Promise<void> {
        if ((await super.get(source)) === undefined) await super.commit(source, offset, options);
      }
    },
  },
  {
    flaw: 'goes backwards',
    promise: 'never backwards: a commit behind is refused with OFFSET_BEHIND and changes nothing',
    Store: class extends DiskStore {
      override async commit(source: string, offset: Offset, options?: CommitOptions): Promise<void> {
        await super.commit(source, offset, { ...options, allowRegression: true });
      }
    },
  },
  {
    flaw: 'never goes back, not even when told to',
    promise: 'never backwards: allowRegression goes back',
    Store: class extends DiskStore {
      override async commit(source: string, offset: Offset, options?: CommitOptions): Promise<void> {
        await super.commit(source, offset, { ...options, allowRegression: false });
      }
    },
  },
  {
    flaw: 'ignores a commit behind, and says that it is done',
    promise: 'never backwards: the refusal of a commit behind names the source and both offsets',
    Store: class extends DiskStore {
      override async commit(source: string, offset: Offset, options?: CommitOptions): Promise<void> {
        await super.commit(source, offset, options).catch((error: { code?: string }) => {
          if (error.code !== 'OFFSET_BEHIND') throw error;
        });
      }
    },
  },
  {
    flaw: 'makes the equal offset a new commit',
    promise: 'never backwards: the committed offset again does not change committedAt',
    Store: class extends DiskStore {
      override async commit(source: string, offset: Offset, options?: CommitOptions): Promise<void> {
        await super.commit(source, offset, options);
        const state = this.disk.states.get(source);
        if (state?.offset !== undefined) this.disk.states.set(source, { ...state, committedAt: new Date() });
      }
    },
  },
  {
    flaw: 'never renews committedAt',
    promise: 'inspect: committedAt is the time of the commit',
    Store: class extends DiskStore {
      readonly #first = new Map<string, Date>();
      override async inspect(source: string): Promise<Checkpoint | undefined> {
        const checkpoint = await super.inspect(source);
        if (checkpoint === undefined) return undefined;
        const committedAt = this.#first.get(source) ?? checkpoint.committedAt;
        this.#first.set(source, committedAt);
        return { ...checkpoint, committedAt: new Date(committedAt) };
      }
    },
  },
  {
    flaw: 'gives out the Date that it keeps',
    promise: 'copies: a Date changed after get() or getAll() changes nothing',
    Store: class extends DiskStore {
      override async get(source: string): Promise<Offset | undefined> {
        await super.get(source);
        return this.disk.states.get(source)?.offset;
      }
    },
  },
  {
    flaw: 'reads its arguments after the call',
    promise: 'copies: a Date changed after the call changes nothing',
    Store: class extends DiskStore {
      override async commit(source: string, offset: Offset, options?: CommitOptions): Promise<void> {
        this.check(source);
        await Promise.resolve();
        await super.commit(source, offset, options);
      }
    },
  },
  {
    flaw: 'gives out the Map that it keeps',
    promise: 'copies: the Map of getAll() is the caller\u2019s own, and stays as it was',
    Store: class extends DiskStore {
      readonly #all = new Map<string, Offset>();
      override async getAll(): Promise<Map<string, Offset>> {
        for (const [source, offset] of await super.getAll()) this.#all.set(source, offset);
        return this.#all;
      }
    },
  },
  {
    flaw: 'gives out the metadata that it keeps',
    promise: 'copies: a checkpoint changed after inspect() changes nothing',
    Store: class extends DiskStore {
      override async inspect(source: string): Promise<Checkpoint | undefined> {
        const checkpoint = await super.inspect(source);
        return checkpoint && (this.disk.states.get(source) as Checkpoint);
      }
    },
  },
  {
    flaw: 'keeps sequences as numbers',
    promise: 'kinds of offsets: every kind of offset comes back as it was, at its extremes too',
    Store: class extends DiskStore {
      override async commit(source: string, offset: Offset, options?: CommitOptions): Promise<void> {
        const rounded =
          offset?.kind === 'sequence' && typeof offset.value === 'bigint'
            ? { ...offset, value: BigInt(Number(offset.value)) }
            : offset;
        await super.commit(source, rounded, options);
      }
    },
  },
  {
    flaw: 'compares sequences with a sign',
    promise: 'kinds of offsets: sequences keep their order up to 2^64-1',
    Store: class extends DiskStore {
      override async commit(source: string, offset: Offset, options?: CommitOptions): Promise<void> {
        const before = await this.get(source);
        const negative = (value: Offset | undefined): boolean =>
          value?.kind === 'sequence' && typeof value.value === 'bigint' && value.value >= 2n ** 63n;
        await super.commit(source, offset, {
          ...options,
          ...(negative(before) && !negative(offset) ? { allowRegression: true } : undefined),
          ...(negative(offset) && before?.kind === 'sequence' ? { epoch: 99 } : undefined),
        });
      }
    },
  },
  {
    flaw: 'keeps times in seconds',
    promise: 'kinds of offsets: timestamps keep their order from the first Date to the last',
    Store: class extends DiskStore {
      override async commit(source: string, offset: Offset, options?: CommitOptions): Promise<void> {
        const rounded =
          offset?.kind === 'timestamp' && offset.value instanceof Date
            ? { ...offset, value: new Date(Math.trunc(offset.value.getTime() / 1000) * 1000) }
            : offset;
        await super.commit(source, rounded, options);
      }
    },
  },
  {
    flaw: 'takes the custom offset earliest for the kind',
    promise: 'kinds of offsets: every kind of offset comes back as it was, at its extremes too',
    Store: class extends DiskStore {
      override async get(source: string): Promise<Offset | undefined> {
        const offset = await super.get(source);
        return offset?.kind === 'custom' && offset.value === 'earliest' ? Offset.earliest : offset;
      }
    },
  },
  {
    flaw: 'looks at no epoch',
    promise: 'epochs: a commit under another epoch is refused with FencedError and changes nothing',
    Store: class extends DiskStore {
      override async commit(source: string, offset: Offset, options?: CommitOptions): Promise<void> {
        await super.commit(source, offset, options && { ...options, epoch: undefined });
      }
    },
  },
  {
    flaw: 'refuses lower epochs only',
    promise: 'epochs: a commit under a higher epoch than 0 is refused where nothing is stored',
    Store: class extends DiskStore {
      override async commit(source: string, offset: Offset, options?: CommitOptions): Promise<void> {
        const epoch = await this.epoch(source);
        const higher = options?.epoch !== undefined && options.epoch > epoch;
        await super.commit(source, offset, higher ? { ...options, epoch } : options);
      }
    },
  },
  {
    flaw: 'fences those who name no epoch',
    promise: 'epochs: a commit without an epoch is not fenced',
    Store: class extends DiskStore {
      override async commit(source: string, offset: Offset, options?: CommitOptions): Promise<void> {
        await super.commit(source, offset, { epoch: 0, ...options });
      }
    },
  },
  {
    flaw: 'does not fence a commit that changes nothing',
    promise: 'epochs: the epoch is checked first: a no-op, a regression and an allowed one are fenced',
    Store: class extends DiskStore {
      override async commit(source: string, offset: Offset, options?: CommitOptions): Promise<void> {
        const before = await this.get(source);
        if (before !== undefined && Offset.compare(before, offset ?? Offset.latest) === 0) return;
        await super.commit(source, offset, options);
      }
    },
  },
  {
    flaw: 'lists what was cleared',
    promise: 'epochs: a cleared source keeps its epoch and is in no listing',
    Store: class extends DiskStore {
      override async getAll(): Promise<Map<string, Offset>> {
        const all = await super.getAll();
        for (const source of this.disk.states.keys()) if (!all.has(source)) all.set(source, Offset.earliest);
        return all;
      }
    },
  },
  {
    flaw: 'forgets the epoch at clear()',
    promise: 'epochs: a commit under the old epoch is refused after clear()',
    Store: class extends DiskStore {
      override async clear(source: string): Promise<void> {
        this.check(source);
        await this.disk.turn((states) => states.delete(source));
      }
    },
  },
  {
    flaw: 'clears in clearAll() only what it lists',
    promise: 'epochs: clearAll() raises the epoch of every source it knows, tombstones included',
    Store: class extends DiskStore {
      override async clearAll(): Promise<void> {
        const listed = [...(await this.getAll()).keys()];
        await Promise.all(listed.map((source) => super.clear(source)));
      }
    },
  },
  {
    flaw: 'keeps the metadata at reset()',
    promise: 'reset: reset() drops the metadata',
    Store: class extends DiskStore {
      override async reset(source: string, offset: Offset): Promise<number> {
        this.check(source);
        const metadata = (await super.inspect(source))?.metadata;
        const epoch = await super.reset(source, offset);
        if (metadata !== undefined) await super.commit(source, offset, { metadata });
        return epoch;
      }
    },
  },
  {
    flaw: 'lets the older claimant go on',
    promise: 'claim: the newest claimant commits; older ones are refused with FencedError',
    Store: class extends DiskStore {
      override async claim(source: string): Promise<number> {
        const epoch = await this.epoch(source);
        return epoch > 0 ? epoch : super.claim(source);
      }
    },
  },
  {
    flaw: 'claims in two steps',
    promise:
      'concurrency within a process: concurrent claims all get epochs of their own, and only the newest commits',
    Store: class extends DiskStore {
      override async claim(source: string): Promise<number> {
        const epoch = (await this.epoch(source)) + 1;
        await this.disk.turn((states) => states.set(source, { ...states.get(source), epoch }));
        return epoch;
      }
    },
  },
  {
    flaw: 'commits in two steps',
    promise: 'concurrency within a process: concurrent commits of one source end at the newest',
    Store: class extends DiskStore {
      override async commit(source: string, offset: Offset, options?: CommitOptions): Promise<void> {
        const before = await super.get(source);
        // What is checked here may no longer hold when it is written.
        const behind = before !== undefined && (Offset.compare(Offset.from(offset), before) ?? 0) < 0;
        await super.commit(source, offset, {
          ...options,
          ...(behind ? undefined : { allowRegression: true }),
        });
      }
    },
  },
  {
    flaw: 'loses writes that overlap',
    promise: 'concurrency within a process: 200 concurrent commits of different sources all land',
    Store: class extends DiskStore {
      override async commit(source: string, offset: Offset, options?: CommitOptions): Promise<void> {
        const whole = new Map(this.disk.states);
        await super.commit(source, offset, options);
        const state = this.disk.states.get(source) as SourceState;
        this.disk.states.clear();
        for (const [name, kept] of whole.set(source, state)) this.disk.states.set(name, kept);
      }
    },
  },
  {
    flaw: 'reads from a replica that lags',
    promise:
      'concurrency within a process: reads during writes never go backwards, and see every commit that has resolved',
    Store: class extends DiskStore {
      readonly #stale = new Map<string, Offset>();
      override async commit(source: string, offset: Offset, options?: CommitOptions): Promise<void> {
        const before = await super.get(source);
        await super.commit(source, offset, options);
        if (before === undefined) return;
        this.#stale.set(source, before);
        void tick()
          .then(tick)
          .then(() => this.#stale.delete(source));
      }
      override async get(source: string): Promise<Offset | undefined> {
        return this.#stale.get(source) ?? super.get(source);
      }
    },
  },
  {
    flaw: 'commits many one by one',
    promise: 'commitMany: an entry behind: none is committed',
    Store: class extends DiskStore {
      override async commitMany(entries: Iterable<CommitEntry>): Promise<void> {
        this.assertOpen();
        for (const entry of entries) await super.commit(entry.source, entry.offset, entry);
      }
    },
  },
  {
    flaw: 'commits many in steps that others can come between',
    promise: 'commitMany: concurrent commits of the same sources leave them as one of them did',
    Store: class extends DiskStore {
      override async commitMany(entries: Iterable<CommitEntry>): Promise<void> {
        this.assertOpen();
        await Promise.all(
          [...entries].map(async (entry) => {
            // The odd values reach one source last, the even ones the other.
            const odd = Offset.format(entry.offset).match(/[13579]$/) !== null;
            if (odd === (entry.source === 'left')) await tick();
            await super.commit(entry.source, entry.offset, entry);
          }),
        );
      }
    },
  },
  {
    flaw: 'takes the last of several entries of a source',
    promise: 'commitMany: a source in several entries has them applied in order',
    Store: class extends DiskStore {
      override async commitMany(entries: Iterable<CommitEntry>): Promise<void> {
        this.assertOpen();
        await super.commitMany(
          new Map(Array.from(entries, (entry) => [(entry as CommitEntry | null)?.source, entry])).values(),
        );
      }
    },
  },
  {
    flaw: 'throws at once',
    promise:
      'source names: commit() refuses what is no name with a TypeError or RangeError, by a rejection, and changes nothing',
    Store: class extends DiskStore {
      override commit(source: string, offset: Offset, options?: CommitOptions): Promise<void> {
        this.check(source);
        return super.commit(source, offset, options);
      }
    },
  },
  {
    flaw: 'takes the empty name',
    promise:
      'source names: clear() refuses what is no name with a TypeError or RangeError, by a rejection, and changes nothing',
    Store: class extends DiskStore {
      protected override check(source: string): void {
        if (source !== '') super.check(source);
        else this.assertOpen();
      }
    },
  },
  {
    flaw: 'keeps sources as keys of an object',
    promise: 'source names: names are told apart byte for byte, whatever they hold',
    Store: class extends DiskStore {
      readonly #offsets: Record<string, Offset> = {};
      override async commit(source: string, offset: Offset, options?: CommitOptions): Promise<void> {
        await super.commit(source, offset, options);
        this.#offsets[source] = offset;
      }
      override async get(source: string): Promise<Offset | undefined> {
        return (await super.get(source)) ?? this.#offsets[source];
      }
    },
  },
  {
    flaw: 'takes names that differ by case for one',
    promise: 'source names: names are told apart byte for byte, whatever they hold',
    Store: class extends DiskStore {
      override async get(source: string): Promise<Offset | undefined> {
        return super.get(typeof source === 'string' ? source.toLowerCase() : source);
      }
      override async commit(source: string, offset: Offset, options?: CommitOptions): Promise<void> {
        await super.commit(typeof source === 'string' ? source.toLowerCase() : source, offset, options);
      }
    },
  },
  {
    flaw: 'normalises names',
    promise: 'source names: clear() of a name leaves those that look alike',
    Store: class extends DiskStore {
      override async clear(source: string): Promise<void> {
        await super.clear(source);
        for (const name of this.disk.states.keys()) {
          if (name !== source && name.normalize() === source.normalize()) await super.clear(name);
        }
      }
    },
  },
  {
    flaw: 'loses metadata',
    promise: 'inspect: inspect() gives offset, epoch and metadata',
    Store: class extends DiskStore {
      override async inspect(source: string): Promise<Checkpoint | undefined> {
        const checkpoint = await super.inspect(source);
        return checkpoint && { ...checkpoint, metadata: undefined };
      }
    },
  },
  {
    flaw: 'keeps metadata as plain JSON',
    promise: 'metadata: every legal kind of value comes back as it was',
    Store: class extends DiskStore {
      override async inspect(source: string): Promise<Checkpoint | undefined> {
        const checkpoint = await super.inspect(source);
        if (checkpoint?.metadata === undefined) return checkpoint;
        const text = JSON.stringify(checkpoint.metadata, (_, value: unknown) =>
          typeof value === 'bigint' ? String(value) : value,
        );
        return { ...checkpoint, metadata: JSON.parse(text) as Metadata };
      }
    },
  },
  {
    flaw: 'merges metadata',
    promise: 'metadata: metadata is replaced as a whole by that of another commit',
    Store: class extends DiskStore {
      override async commit(source: string, offset: Offset, options?: CommitOptions): Promise<void> {
        this.check(source);
        const before = (this.disk.states.get(source) as Checkpoint | undefined)?.metadata;
        const given: unknown = options?.metadata;
        const legal = typeof given === 'object' && given !== null && Object.keys(given)[0] === 'host';
        await super.commit(
          source,
          offset,
          legal ? { ...options, metadata: { ...before, ...given } } : options,
        );
      }
    },
  },
  {
    flaw: 'drops metadata that it cannot keep',
    promise: 'metadata: what cannot be kept is refused with OFFSET_SERIALIZATION, and nothing is changed',
    Store: class extends DiskStore {
      override async commit(source: string, offset: Offset, options?: CommitOptions): Promise<void> {
        await super.commit(source, offset, options).catch(async (error: { code?: string }) => {
          if (error.code !== 'OFFSET_SERIALIZATION') throw error;
          await super.commit(source, offset, { ...options, metadata: undefined });
        });
      }
    },
  },
  {
    flaw: 'still answers when it was closed',
    promise: 'close: every call after close() rejects with ClosedError',
    Store: class extends DiskStore {
      override async get(source: string): Promise<Offset | undefined> {
        return this.disk.turn((states) => states.get(source)?.offset);
      }
    },
  },
  {
    flaw: 'takes calls while it closes',
    promise: 'close: every call rejects with ClosedError from the call of close() on',
    Store: class extends DiskStore {
      override async close(): Promise<void> {
        await this.disk.idle();
        await super.close();
      }
    },
  },
  {
    flaw: 'refuses at close() what was called before',
    promise: 'close: calls made before close() are finished',
    Store: class extends DiskStore {
      override async getAll(): Promise<Map<string, Offset>> {
        this.assertOpen();
        await Promise.resolve();
        return super.getAll();
      }
    },
  },
  {
    flaw: 'closes before the calls are over',
    promise: 'close: close() is over when the calls made before it are',
    Store: class extends DiskStore {
      override async commit(source: string, offset: Offset, options?: CommitOptions): Promise<void> {
        await super.commit(source, offset, options);
        for (let turn = 0; turn < 20; turn += 1) await tick();
      }
    },
  },
  {
    flaw: 'cannot be closed twice',
    promise: 'close: close() twice, and twice at once, does nothing more',
    Store: class extends DiskStore {
      override async close(): Promise<void> {
        this.assertOpen();
        await super.close();
      }
    },
  },
  {
    flaw: 'loses commits at close()',
    promise: 'close: commits made before close() in the same tick are there when the store is opened again',
    Store: class extends DiskStore {
      override async close(): Promise<void> {
        const before = new Map(this.disk.states);
        await super.close();
        this.disk.states.clear();
        for (const [source, state] of before) this.disk.states.set(source, state);
      }
    },
  },
  {
    flaw: 'sweeps tombstones when it opens',
    promise: 'persistence: a cleared source keeps its epoch',
    Store: class extends DiskStore {
      constructor(disk?: Disk) {
        super(disk);
        for (const [source, state] of this.disk.states) {
          if (state.offset === undefined) this.disk.states.delete(source);
        }
      }
    },
  },
  {
    flaw: 'keeps a copy of its own of what others may change',
    promise: 'several instances: what one commits the other reads',
    Store: class extends DiskStore {
      readonly #cache = new Map<string, Offset>();
      override async get(source: string): Promise<Offset | undefined> {
        const offset = this.#cache.get(source) ?? (await super.get(source));
        if (offset !== undefined) this.#cache.set(source, offset);
        return offset;
      }
      override async commit(source: string, offset: Offset, options?: CommitOptions): Promise<void> {
        await super.commit(source, offset, options);
        this.#cache.set(source, offset);
      }
      override async clear(source: string): Promise<void> {
        await super.clear(source);
        this.#cache.delete(source);
      }
    },
  },
];
