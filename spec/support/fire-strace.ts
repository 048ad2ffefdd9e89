import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, utimesSync } from 'node:fs';
import type { Crew } from './fire-crew.js';
import type { Endings, OperationJob } from './fire-job.js';

export interface Traced {
  /** What strace wrote: one line for each call. */
  readonly trace: string;
  /** The number of each thread. */
  readonly ids: Readonly<Record<Thread, string>>;
  readonly signal: NodeJS.Signals | null;
  /** What the process said of itself; undefined when it was killed. */
  readonly endings: Endings | undefined;
}

/** A promise for the text that a stream has given when `complete` holds, or when it ended. */
function textOf(
  child: ChildProcess,
  stream: 'stdout' | 'stderr',
  complete: (text: string) => boolean,
): Promise<string> {
  const readable = child[stream];
  if (readable === null) throw new Error(`Expected ${stream} to be a pipe`);
  return new Promise((resolve, reject) => {
    let text = '';
    readable.setEncoding('utf8');
    readable.on('data', (chunk: string) => {
      text += chunk;
      if (complete(text)) resolve(text);
    });
    readable.on('end', () => resolve(text));
    readable.on('error', reject);
  });
}

/**
 * The two threads that call the file system: the one that runs JavaScript, for what needs not be waited for,
 * and the only one of the pool, for all else.
 */
export type Thread = 'main' | 'pool';

/**
 * Runs the operation in a process of its own with strace attached to these threads, whose counts so begin with
 * the operation and not with the start of Node. Each thread makes its calls in an order that is always the same.
 */
export async function traced(
  crew: Crew,
  job: OperationJob,
  threads: readonly Thread[],
  ...args: string[]
): Promise<Traced> {
  const child = crew.start(job, { UV_THREADPOOL_SIZE: '1' });
  const exited = once(child, 'exit') as Promise<[number | null, NodeJS.Signals | null]>;
  const output = textOf(child, 'stdout', () => false);
  const pool = (await textOf(child, 'stdout', (text) => text.includes('\n'))).trim();
  const ids = { main: String(child.pid), pool };
  const strace = spawn('strace', [...args, ...threads.flatMap((thread) => ['-p', ids[thread]])], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const straceClosed = once(strace, 'close');
  try {
    const trace = textOf(strace, 'stderr', () => false);
    await textOf(strace, 'stderr', (text) => text.split('attached').length > threads.length);
    child.stdin?.end('go');
    const [, signal] = await exited;
    await straceClosed;
    const [, report] = (await output).split('\n');
    return {
      trace: await trace,
      ids,
      signal,
      endings: report === undefined || report === '' ? undefined : (JSON.parse(report) as Endings),
    };
  } finally {
    child.kill('SIGKILL');
    strace.kill('SIGKILL');
  }
}

/** A call of the system: its name, and the how-manieth of that name it is in its thread. */
export interface SystemCall {
  readonly thread: Thread;
  readonly name: string;
  readonly nth: number;
}

/** What the main thread calls for the store; all else that is to be seen there is Node's. */
const MADE_AT_ONCE: ReadonlySet<string> = new Set(['pread64', 'statx']);

/** What wakes the other thread up, and what one says that is woken. */
const WAKE_UPS: ReadonlySet<string> = new Set(['read', 'write']);

/** The calls that the operation makes of the file system, in order. */
export function callsIn({ trace, ids }: Traced): SystemCall[] {
  const counts = new Map<string, number>();
  const calls: SystemCall[] = [];
  for (const line of trace.split('\n')) {
    const [, id, name = ''] = /^\[pid +(\d+)\] ([a-z][a-z0-9_]*)\(/.exec(line) ?? [];
    const thread = id === ids.main ? 'main' : 'pool';
    if (id === undefined || (thread === 'main' ? !MADE_AT_ONCE.has(name) : WAKE_UPS.has(name))) continue;
    const nth = (counts.get(`${thread} ${name}`) ?? 0) + 1;
    counts.set(`${thread} ${name}`, nth);
    calls.push({ thread, name, nth });
  }
  return calls;
}

/** Does something for each item, so many at a time. */
export async function inParallel<T>(
  items: readonly T[],
  width: number,
  each: (item: T, index: number) => Promise<void>,
): Promise<void> {
  const entries = items.entries();
  const lane = async (): Promise<void> => {
    for (const [index, item] of entries) await each(item, index);
  };
  const lanes = await Promise.allSettled(Array.from({ length: width }, lane));
  for (const result of lanes) if (result.status === 'rejected') throw result.reason;
}

/** Makes a lock that a dead process left as old as it will be in ten seconds. */
export function ageLock(path: string): void {
  const then = Date.now() / 1000 - 10;
  if (existsSync(`${path}.lock`)) utimesSync(`${path}.lock`, then, then);
}
