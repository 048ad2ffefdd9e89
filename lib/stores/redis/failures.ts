/** What goes wrong between a client and its server, in our errors. */
import { type OffsetError, OffsetIoError, OffsetSerializationError, UnsupportedError } from '../../errors.js';
import { messageOf } from '../../failures.js';
import { quote } from '../../validate.js';
import { NotSentError } from './client.js';
import { FORMAT } from './scripts.js';

/** What was asked of the server. */
export interface RedisCall {
  /** Such as `commit source "a"`. */
  readonly what: string;
  readonly source?: string | undefined;
  /** Whether it changes what is stored. */
  readonly writes: boolean;
}

/**
 * The first word of the server's answers that refuse a call, and what to do. A script that is refused, at its start or
 * at its first write, has changed nothing.
 */
const REPLIES: Readonly<Record<string, string>> = {
  NOAUTH: 'Give the client the password, or the user and password, that the server asks for',
  WRONGPASS: 'Give the client the password, or the user and password, that the server knows',
  NOPERM: "The client's user needs EVALSHA, EVAL, HGET, HSET, HGETALL and EXISTS, on this key",
  READONLY: 'The client is connected to a replica; connect it to the master',
  OOM: 'The server is at its maxmemory: give it more, or store less in it',
  MOVED: 'The server belongs to a cluster: use a cluster client (new Redis.Cluster(), createCluster())',
  ASK: 'The server belongs to a cluster: use a cluster client (new Redis.Cluster(), createCluster())',
  CROSSSLOT: 'A store uses one key, which has one slot; something between client and server adds another',
  CLUSTERDOWN: 'The cluster does not serve the slot of this key now',
  TRYAGAIN: 'The cluster is moving the slot of this key; try again',
  MASTERDOWN: 'The server is a replica that has lost its master',
  LOADING: 'The server is still reading its data from disk; try again',
  BUSY: 'The server is in a script or function that takes long; try again',
  MISCONF: 'The server cannot write to its disk, and takes no writes until it can',
  NOREPLICAS: 'The server has fewer replicas in good state than its min-replicas-to-write asks for',
  NOSCRIPT: 'The server forgets scripts at once; something between client and server does not support them',
  DENIED: 'The server is in protected mode, and this client is on another machine',
  ERR: 'The server does not take the call; Redis 4 or later, or what behaves as it does, is needed',
};

/** In Redis before version 7, the word comes late: `ERR Error running script (call to f_…): @user_script:5: -READONLY You…`. */
const IN_SCRIPT = /@user_script: ?[0-9]+: -?([A-Z]+) /;

/** The word by which the server refused the call; undefined for an error that is no answer of the server. */
function replyOf(error: unknown): string | undefined {
  // Errors of the system begin alike, as in `ECONNRESET …`, but tell what call failed.
  if ((error as { syscall?: unknown } | null | undefined)?.syscall !== undefined) return undefined;
  const message = messageOf(error);
  const word = /^-?([A-Z]+)(?: |$)/.exec(message)?.[1];
  if (word === undefined || !(word in REPLIES || word === 'WRONGTYPE')) return undefined;
  const inScript = word === 'ERR' ? IN_SCRIPT.exec(message)?.[1] : undefined;
  return inScript !== undefined && (inScript in REPLIES || inScript === 'WRONGTYPE') ? inScript : word;
}

/** Our error for what the client rejected with. */
export function redisError(error: unknown, call: RedisCall, key: string): OffsetError {
  const failed = `Could not ${call.what} in the Redis key ${quote(key)}`;
  const { source } = call;
  if (error instanceof NotSentError) {
    return new OffsetIoError(`${failed}: there is no connection to the server (${error.message})`, {
      source,
      cause: error.cause,
    });
  }
  const said = messageOf(error);
  const reply = replyOf(error);
  if (reply === 'WRONGTYPE') return strangerError(call, key, 'it holds no hash', error);
  if (reply !== undefined) {
    return new OffsetIoError(`${failed}: the server answered ${quote(said)}. ${REPLIES[reply]}`, {
      source,
      cause: error,
    });
  }
  if (!call.writes) {
    return new OffsetIoError(`${failed}: there was no answer from the server (${said})`, {
      source,
      cause: error,
    });
  }
  return new OffsetIoError(
    `${failed}, or could: there was no answer from the server (${said}). Whether it took effect is unknown; ask ` +
      'again, or read it back',
    { code: 'OFFSET_DURABILITY_UNKNOWN', source, cause: error },
  );
}

/** The hash has another format, as its field '' says; '' where it has no such field. */
export function formatError(call: RedisCall, key: string, format: string): OffsetError {
  if (!/^streamweave-offset [0-9]+$/.test(format)) {
    return strangerError(call, key, `the field '' of its hash is ${quote(format)}, not ${quote(FORMAT)}`);
  }
  return new UnsupportedError(
    `Could not ${call.what}: the Redis key ${quote(key)} has the format ${quote(format)}, and this version knows ` +
      `${quote(FORMAT)}. Nothing was changed. Use the version that wrote it, or a newer one`,
    { source: call.source },
  );
}

/** The key holds something, and not offsets of ours. */
function strangerError(call: RedisCall, key: string, why: string, cause?: unknown): OffsetError {
  return new OffsetSerializationError(
    `Could not ${call.what}: the Redis key ${quote(key)} is not one of this library, for ${why}. Nothing was ` +
      'changed. Give the store another `keyPrefix`',
    { code: 'OFFSET_CORRUPT', source: call.source, ...(cause === undefined ? undefined : { cause }) },
  );
}

/** What a source's field holds is nothing that we wrote. */
export function damagedError(source: string, text: string, key: string): OffsetError {
  return new OffsetSerializationError(
    `What is stored for source ${quote(source)} in the Redis key ${quote(key)} is damaged: expected epoch, ` +
      `kind, time and metadata with a space between them, and the position on a line of its own; got ${quote(text)}. ` +
      'It was left as it is. Put it right by hand, or delete the field (HDEL) and every offset of the source with it',
    { code: 'OFFSET_CORRUPT', source },
  );
}
