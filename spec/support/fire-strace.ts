import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, utimesSync } from 'node:fs';
import type { Crew } from './fire-crew.js';
import type { Endings, OperationJob } from './fire-job.js';

export interface Traced {
  /** What strace wrote: one line for each call. */
  readonly trace: string;
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
 * Runs the operation in a process of its own with strace attached, whose counts so begin with the operation
 * and not with the start of Node. All asynchronous calls of the file system come from one thread, in order.
 */
export async function traced(crew: Crew, job: OperationJob, ...args: string[]): Promise<Traced> {
  const child = crew.start(job, { UV_THREADPOOL_SIZE: '1' });
  const exited = once(child, 'exit') as Promise<[number | null, NodeJS.Signals | null]>;
  const output = textOf(child, 'stdout', () => false);
  await new Promise<void>((resolve) => {
    child.stdout?.once('data', () => resolve());
    child.once('exit', () => resolve());
  });
  const strace = spawn('strace', ['-f', ...args, '-p', String(child.pid)], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const straceClosed = once(strace, 'close');
  try {
    const trace = textOf(strace, 'stderr', () => false);
    await textOf(strace, 'stderr', (text) => text.includes('attached'));
    child.stdin?.end('go');
    const [, signal] = await exited;
    await straceClosed;
    const [, report] = (await output).split('\n');
    return {
      trace: await trace,
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
  readonly name: string;
  readonly nth: number;
}

/**
 * The calls that the operation makes of the file system, in order. They all come from one thread, beside
 * whose wake-ups of the main thread nothing else is to be seen there.
 */
export function callsIn(trace: string, path: string): SystemCall[] {
  const lines = trace.split('\n');
  const thread = /^\[pid +(\d+)\]/.exec(lines.find((line) => line.includes(`"${path}`)) ?? '')?.[1];
  if (thread === undefined) throw new Error(`Expected calls for ${path}, got ${trace}`);
  const counts = new Map<string, number>();
  const calls: SystemCall[] = [];
  for (const line of lines) {
    const [, pid, name = 'write'] = /^\[pid +(\d+)\] ([a-z][a-z0-9_]*)\(/.exec(line) ?? [];
    if (pid !== thread || name === 'read' || name === 'write') continue;
    const nth = (counts.get(name) ?? 0) + 1;
    counts.set(name, nth);
    calls.push({ name, nth });
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
