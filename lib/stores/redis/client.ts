/** How scripts get to the server through a client of either package, and whether a call has left this process. */
import { messageOf } from '../../failures.js';
import { argumentTypeError } from '../../validate.js';
import type { RedisScript } from './scripts.js';

/** What is used of `Redis` and `Cluster` of ioredis. */
export interface IoredisClient {
  /** Runs the script that the server knows by this SHA-1: its keys, so many, and then its other arguments. */
  evalsha(sha: string, numkeys: number, ...args: string[]): Promise<unknown>;
  /** Runs a script that the server may not know. */
  eval(script: string, numkeys: number, ...args: string[]): Promise<unknown>;
}

/** What is used of what redis makes with `createClient()`, `createCluster()`, `createClientPool()` or `createSentinel()`. */
export interface NodeRedisClient {
  /** Runs the script that the server knows by this SHA-1. */
  evalSha(sha: string, options: { keys: string[]; arguments: string[] }): Promise<unknown>;
  /** Runs a script that the server may not know. */
  eval(script: string, options: { keys: string[]; arguments: string[] }): Promise<unknown>;
}

/** A client of Redis, which the caller makes, connects and closes. */
export type RedisClient = IoredisClient | NodeRedisClient;

/** The call never left this process. */
export class NotSentError extends Error {}

/** Runs scripts on a client, whichever it is. */
export class ScriptRunner {
  readonly #client: RedisClient;
  readonly #line: Line;

  /** @throws TypeError for what is no client */
  constructor(client: unknown) {
    if (!isClient(client)) {
      throw argumentTypeError(
        '`client` to be a client of ioredis (new Redis(), new Redis.Cluster()) or of redis (createClient(), createCluster())',
        client,
      );
    }
    this.#client = client;
    this.#line = lineOf(client);
  }

  /**
   * Runs the script by its name, or in full where the server does not know it.
   *
   * @throws NotSentError with the client's own error as its cause; else what the client rejects with
   */
  async run(script: RedisScript, key: string, argv: readonly string[]): Promise<unknown> {
    try {
      return await this.#send(() =>
        isIoredis(this.#client)
          ? this.#client.evalsha(script.sha, 1, key, ...argv)
          : this.#client.evalSha(script.sha, { keys: [key], arguments: [...argv] }),
      );
    } catch (error) {
      // The server never ran it, or forgot it: it was restarted, failed over, or told to (SCRIPT FLUSH).
      if (!messageOf(error).startsWith('NOSCRIPT')) throw error;
    }
    return await this.#send(() =>
      isIoredis(this.#client)
        ? this.#client.eval(script.lua, 1, key, ...argv)
        : this.#client.eval(script.lua, { keys: [key], arguments: [...argv] }),
    );
  }

  async #send(ask: () => Promise<unknown>): Promise<unknown> {
    const down = isDown(this.#client, this.#line);
    const { connected } = this.#line;
    try {
      return await ask();
    } catch (error) {
      // The client kept it until it would have a connection, had none, and dropped it.
      const dropped = down && connected === this.#line.connected && !isKept(error);
      if (dropped || isRefusedUnsent(error)) throw new NotSentError(messageOf(error), { cause: error });
      throw error;
    }
  }
}

function isClient(client: unknown): client is RedisClient {
  return typeof client === 'object' && client !== null && (isIoredis(client) || isNodeRedis(client));
}

function isNodeRedis(client: object): client is NodeRedisClient {
  const { evalSha, eval: run } = client as Partial<NodeRedisClient>;
  return typeof evalSha === 'function' && typeof run === 'function';
}

function isIoredis(client: object): client is IoredisClient {
  const { evalsha, eval: run } = client as Partial<IoredisClient>;
  return typeof evalsha === 'function' && typeof run === 'function' && !isNodeRedis(client);
}

/** What clients have beside their commands. */
interface Observable {
  /** ioredis. */
  readonly status?: unknown;
  /** redis. */
  readonly isOpen?: unknown;
  readonly isReady?: unknown;
  on?(event: 'connect' | 'ready' | 'reconnecting', listener: () => void): unknown;
}

/** What the client's events have told of its connection. */
interface Line {
  /** How often calls could be sent again. */
  connected: number;
  down: boolean;
}

/** One for each client, however many stores use it: their number of listeners does not grow. */
const lines = new WeakMap<object, Line>();

function lineOf(client: RedisClient): Line {
  let line = lines.get(client);
  if (line === undefined) {
    const { isOpen } = client as Observable;
    const fresh: Line = { connected: 0, down: isOpen === false };
    // ioredis sends what waits once it is ready; redis with the first words on a new connection.
    (client as Observable).on?.(isIoredis(client) ? 'ready' : 'connect', () => {
      fresh.connected += 1;
      fresh.down = false;
    });
    (client as Observable).on?.('reconnecting', () => (fresh.down = true));
    line = fresh;
    lines.set(client, line);
  }
  return line;
}

/** Whether a call certainly has to wait for a connection; false where that is not known. */
function isDown(client: RedisClient, line: Line): boolean {
  const { status, isReady } = client as Observable;
  return isIoredis(client)
    ? typeof status === 'string' && status !== 'ready'
    : isReady === false && line.down;
}

/** ioredis then stops waiting for the answer, but will send the call when it has a connection. */
function isKept(error: unknown): boolean {
  return messageOf(error) === 'Command timed out';
}

/** What the clients say of a call that they do not even queue. */
const REFUSED_UNSENT = new Set([
  'The client is closed',
  'The client is offline',
  'The queue is full',
  "Stream isn't writeable and enableOfflineQueue options is false",
  "Cluster isn't ready and enableOfflineQueue options is false",
]);

function isRefusedUnsent(error: unknown): boolean {
  return REFUSED_UNSENT.has(messageOf(error));
}
