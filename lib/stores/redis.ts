import type { Checkpoint } from '../checkpoint.js';
import { ClosedError, OffsetIoError } from '../errors.js';
import { Offset, type OffsetInput } from '../offset.js';
import type { CommitEntry, CommitOptions, OffsetStore } from '../offset-store.js';
import { argumentTypeError, assertOptions, assertSource, quote, received } from '../validate.js';
import {
  applyCommit,
  checkCommit,
  checkEntries,
  type SourceCommit,
  type SourceState,
} from './commit-rules.js';
import { type RedisClient, ScriptRunner } from './redis/client.js';
import { damagedError, formatError, type RedisCall, redisError } from './redis/failures.js';
import { aheadOf, CLEAR_ALL, COMMIT, RAISE, READ, READ_ALL, type RedisScript } from './redis/scripts.js';
import {
  decodeRow,
  encodePosition,
  encodeRow,
  loadSerializer,
  needsSerializer,
  rowNeedsSerializer,
  type StoredRow,
} from './row.js';
import { RunningCalls } from './running-calls.js';

export type { IoredisClient, NodeRedisClient, RedisClient } from './redis/client.js';

/** The options of a {@link RedisOffsetStore}. */
export interface RedisOffsetStoreOptions {
  /**
   * What the name of the store's one key begins with: the key is this and `offsets`. Stores with the same prefix share
   * their offsets. In a cluster the key decides which master keeps them. Default: `'streamweave-offset:'`.
   */
  readonly keyPrefix?: string | undefined;
}

/**
 * Keeps offsets in Redis 4 or later (or what behaves as it does), through a client of `ioredis` or `redis` that the caller
 * makes, connects and closes. It has every capability of the OffsetStore contract.
 *
 * All sources are fields of one hash, `<keyPrefix>offsets`, and every call is one Lua script: the check of epoch and
 * order and the write are one step in the server, and so is a `commitMany()` of 10,000 sources. It follows that:
 *
 * - In a cluster a store lives on the one master that has the key's slot, and nothing ever spans slots. To spread the
 *   load, give groups of sources stores with different prefixes.
 * - A commit costs the same whatever the number of sources; `commitMany()`, `getAll()`, `inspectAll()` and `clearAll()`
 *   hold the server up while it works on all theirs (docs/explanation/scaling.md has measured figures).
 * - Reads go to the master, like everything that is a script, even from a client that prefers replicas: a read that begins
 *   after a commit has resolved sees it.
 *
 * **What a resolved commit survives** is what the server's own settings say:
 *
 * | server | survives its crash (kill -9) | survives power loss |
 * |---|---|---|
 * | `appendonly yes`, `appendfsync always` | everything | everything |
 * | `appendonly yes`, `appendfsync everysec` | all but, rarely, the last 2 seconds | all but the last 2 seconds |
 * | `appendonly yes`, `appendfsync no` | everything | what the system has written, often all but 30 seconds |
 * | `appendonly no` (the default) | what the last snapshot holds | what the last snapshot holds |
 *
 * Replication is asynchronous: a failover can lose the newest commits, acknowledged ones too, and epochs with them.
 * `min-replicas-to-write` narrows that; `WAIT` and `WAITAOF` after a commit, on the same connection, tell that replicas
 * have it, and still do not make a failover keep it for certain. Where that is not enough, use a SQL store. Set
 * `maxmemory-policy` to `noeviction`, or a `volatile-` one: the key never expires, and an `allkeys-` policy may evict it.
 *
 * **A server that is down** must not hold a call for ever, and it is the client that decides: with ioredis set
 * `maxRetriesPerRequest: 0` (a call fails when a connection does, rather than being sent again) and `commandTimeout`;
 * with redis set `disableOfflineQueue: true`, or `commandOptions: { timeout }` from version 5 on, and `socket: {
 * socketTimeout }`. A client of redis also needs an `'error'` listener, or the process ends. With an
 * `OffsetTracker` its `storeTimeoutMs` is the limit in any case. Settings that change names and types
 * (`keyPrefix`, `stringNumbers` and RESP3 of the clients) change nothing here.
 *
 * Errors, beside those of the OffsetStore contract: `OFFSET_IO` (the server cannot be reached, or refuses: wrong
 * password, replica, out of memory, part of a cluster, still loading), `OFFSET_DURABILITY_UNKNOWN` (the connection was
 * lost before the answer came), `OFFSET_CORRUPT` (the key holds something else, or a source's field is damaged),
 * `OFFSET_UNSUPPORTED` (a newer version wrote the key); the client's error is the `cause`.
 *
 * @example
 * ```ts
 * import { Redis } from 'ioredis';
 * import { OffsetTracker } from 'streamweave-offset';
 * import { RedisOffsetStore } from 'streamweave-offset/redis';
 *
 * const client = new Redis({ maxRetriesPerRequest: 0, commandTimeout: 10_000 });
 * const tracker = new OffsetTracker(new RedisOffsetStore(client, { keyPrefix: 'billing:' }));
 * // … and when all is done:
 * await tracker.close();
 * await client.quit();
 * ```
 */
export class RedisOffsetStore implements OffsetStore {
  /** The name of the hash that holds everything. */
  readonly key: string;
  readonly #runner: ScriptRunner;
  readonly #calls = new RunningCalls();
  #closed = false;

  /**
   * Checks its arguments, and sends nothing.
   *
   * @param client - `new Redis()` or `new Redis.Cluster()` of ioredis; `createClient()`, `createCluster()`,
   *   `createClientPool()` or `createSentinel()` of redis
   * @throws TypeError for what is no client, and for options of the wrong type
   */
  constructor(client: RedisClient, options?: RedisOffsetStoreOptions) {
    assertOptions('options', options);
    const { keyPrefix = 'streamweave-offset:' } = options ?? {};
    if (typeof keyPrefix !== 'string' || !keyPrefix.isWellFormed()) {
      throw argumentTypeError('`keyPrefix` to be a string without lone surrogates', keyPrefix);
    }
    this.key = `${keyPrefix}offsets`;
    this.#runner = new ScriptRunner(client);
  }

  async get(source: string): Promise<Offset | undefined> {
    return (await this.#read(source))?.offset;
  }

  async commit(source: string, offset: OffsetInput, options?: CommitOptions): Promise<void> {
    this.#assertOpen();
    assertSource(source);
    const commit = checkCommit(offset, options);
    await this.#calls.track(
      this.#commit([{ source, commit }], { what: `commit source ${quote(source)}`, source, writes: true }),
    );
  }

  async commitMany(entries: Iterable<CommitEntry>): Promise<void> {
    this.#assertOpen();
    const commits = checkEntries(entries);
    if (commits.length === 0) return;
    await this.#calls.track(
      this.#commit(commits, { what: `commit ${commits.length} sources`, writes: true }),
    );
  }

  async getAll(): Promise<Map<string, Offset>> {
    return new Map(Array.from(await this.inspectAll(), ([source, { offset }]) => [source, offset]));
  }

  async inspect(source: string): Promise<Checkpoint | undefined> {
    const state = await this.#read(source);
    return state?.offset === undefined ? undefined : state;
  }

  async inspectAll(): Promise<Map<string, Checkpoint>> {
    this.#assertOpen();
    return await this.#calls.track(this.#readAll());
  }

  async epoch(source: string): Promise<number> {
    return (await this.#read(source))?.epoch ?? 0;
  }

  async reset(source: string, offset: OffsetInput): Promise<number> {
    this.#assertOpen();
    assertSource(source);
    const state = { offset: Offset.from(offset), epoch: 0, committedAt: new Date() };
    return await this.#raise('reset', source, textAfterEpoch(source, state));
  }

  async claim(source: string): Promise<number> {
    this.#assertOpen();
    assertSource(source);
    return await this.#raise('claim', source);
  }

  async clear(source: string): Promise<void> {
    this.#assertOpen();
    assertSource(source);
    await this.#raise('clear', source, NOTHING_AFTER_EPOCH);
  }

  async clearAll(): Promise<void> {
    this.#assertOpen();
    await this.#calls.track(
      this.#run(CLEAR_ALL, [NOTHING_AFTER_EPOCH], { what: 'clear all sources', writes: true }),
    );
  }

  /** Waits for the calls made before. The client stays open: it is the caller's. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#calls.ended();
  }

  #assertOpen(): void {
    if (this.#closed) throw new ClosedError('This RedisOffsetStore was closed; make a new one');
  }

  async #read(source: string): Promise<SourceState | undefined> {
    this.#assertOpen();
    assertSource(source);
    return await this.#calls.track(this.#readOne(source));
  }

  async #readOne(source: string): Promise<SourceState | undefined> {
    const call = { what: `read source ${quote(source)}`, source, writes: false };
    const [value] = await this.#run(READ, [source], call);
    return value === undefined ? undefined : await this.#decode(source, textOf(value));
  }

  async #readAll(): Promise<Map<string, Checkpoint>> {
    const [all] = await this.#run(READ_ALL, [], { what: 'read all sources', writes: false });
    const checkpoints = new Map<string, Checkpoint>();
    const fields = all as unknown[];
    for (let index = 0; index < fields.length; index += 2) {
      const source = textOf(fields[index]);
      if (source === '') continue;
      const row = this.#rowOf(source, textOf(fields[index + 1]));
      if (rowNeedsSerializer(row)) await loadSerializer();
      const state = decodeRow(source, row);
      if (state.offset !== undefined) checkpoints.set(source, state);
    }
    return checkpoints;
  }

  async #commit(commits: readonly SourceCommit[], call: RedisCall): Promise<void> {
    if (commits.some(({ commit }) => needsSerializer(commit.metadata))) await loadSerializer();
    const committedAt = new Date();
    const entries = commits.flatMap(({ source, commit }) => {
      const { offset, epoch, metadata } = commit;
      const value = textAfterEpoch(source, { offset, epoch: 0, metadata, committedAt });
      return [source, `${epoch ?? ''}${commit.allowRegression ? '!' : ''}${value}`];
    });
    // Clients spread the arguments of a call on the stack, which holds some ten thousands.
    const argv = commits.length === 1 ? [...entries, ...shortCut(commits[0]!)] : [JSON.stringify(entries)];
    const refusal = await this.#run(COMMIT, argv, call);
    if (refusal.length === 0) return;
    const [index, value] = refusal.map(textOf);
    const { source, commit } = commits[Number(index) - 1] as SourceCommit;
    // The words for a refusal are in one place; the server only finds that there is one.
    applyCommit(source, value === undefined ? undefined : await this.#decode(source, value), commit);
    throw new OffsetIoError(
      `Could not ${call.what}: the script refused it for what it holds, ${received(value)}, which is no reason to`,
      { source },
    );
  }

  async #raise(what: string, source: string, afterEpoch?: string): Promise<number> {
    const call = { what: `${what} source ${quote(source)}`, source, writes: true };
    const argv = afterEpoch === undefined ? [source] : [source, afterEpoch];
    const [epoch] = await this.#calls.track(this.#run(RAISE, argv, call));
    return Number(textOf(epoch));
  }

  /**
   * What the script gives back. Nothing for a commit that was made; for a refused one the number of the entry and
   * the value that its source has.
   */
  async #run(script: RedisScript, argv: readonly string[], call: RedisCall): Promise<unknown[]> {
    let answer: unknown;
    try {
      answer = await this.#runner.run(script, this.key, argv);
    } catch (error) {
      throw redisError(error, call, this.key);
    }
    if (!Array.isArray(answer)) {
      throw new OffsetIoError(
        `Could not ${call.what} in the Redis key ${quote(this.key)}: expected a list from the script, got another type of answer`,
        { code: call.writes ? 'OFFSET_DURABILITY_UNKNOWN' : 'OFFSET_IO', source: call.source },
      );
    }
    const [outcome, ...rest] = answer as unknown[];
    switch (textOf(outcome)) {
      case 'stranger':
        throw formatError(call, this.key, textOf(rest[0]));
      case 'damaged':
        throw damagedError(textOf(rest[0]), textOf(rest[1]), this.key);
      default:
        return rest;
    }
  }

  async #decode(source: string, text: string): Promise<SourceState> {
    const row = this.#rowOf(source, text);
    if (rowNeedsSerializer(row)) await loadSerializer();
    return decodeRow(source, row);
  }

  /** The columns of a field's value. */
  #rowOf(source: string, text: string): StoredRow {
    const parts = VALUE.exec(text);
    if (parts === null) throw damagedError(source, text, this.key);
    const [, epoch, kind, committedAt, metadata, position] = parts;
    return {
      epoch,
      kind: kind || null,
      position: kind === '' && position === '' ? null : position,
      metadata: metadata || null,
      committedAt: committedAt || null,
    };
  }
}

/** What spares the script the longer way. */
function shortCut({ commit: { offset, epoch, allowRegression } }: SourceCommit): string[] {
  const { kind } = offset;
  if (epoch === undefined || allowRegression || (kind !== 'sequence' && kind !== 'timestamp')) return [];
  return aheadOf(epoch, kind, encodePosition(offset));
}

/** What a source's field holds. */
const VALUE = /^([0-9]+) ([a-z]*) (-?[0-9]*) ([^\n]*)\n(.*)$/s;

/** What follows the epoch in there. */
function textAfterEpoch(source: string, state: Checkpoint): string {
  const { kind, position, metadata, committedAt } = encodeRow(source, state);
  return ` ${kind} ${committedAt} ${metadata ?? ''}\n${position}`;
}

/** The same of a source without an offset. */
const NOTHING_AFTER_EPOCH = '   \n';

/** A client may be set to give texts as Buffers. */
function textOf(value: unknown): string {
  return typeof value === 'string' ? value : Buffer.from(value as Uint8Array).toString();
}
