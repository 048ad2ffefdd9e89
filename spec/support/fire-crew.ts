import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, existsSync, openSync, readSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { build } from 'esbuild';
import type { CommitJob, Job } from './fire-job.js';

const now = (): bigint => process.hrtime.bigint();

/** A process, and the reports of all that ran under its name. */
export class Worker {
  readonly name: string;
  readonly process: ChildProcess;
  readonly #crew: Crew;
  readonly #exited: Promise<unknown>;

  constructor(crew: Crew, job: CommitJob) {
    this.name = job.name;
    this.#crew = crew;
    this.process = crew.start(job);
    this.#exited = once(this.process, 'exit');
  }

  get running(): boolean {
    return this.process.exitCode === null && this.process.signalCode === null;
  }

  kill(signal: NodeJS.Signals): void {
    this.process.kill(signal);
  }

  async exited(): Promise<void> {
    await this.#exited;
  }

  /** When the first commit after that moment was acknowledged; rejects when none is for so long. */
  async acknowledgedAfter(moment: bigint, timeoutMs: number): Promise<bigint> {
    const { journal } = this.#crew;
    return await until(`an acknowledged commit of ${this.name}`, timeoutMs, () => {
      journal.update();
      const last = journal.lastAcknowledged.get(this.name);
      return last !== undefined && last > moment ? last : undefined;
    });
  }
}

/** Asks again and again until the answer is not undefined. */
export async function until<T>(what: string, timeoutMs: number, ask: () => T | undefined): Promise<T> {
  const deadline = now() + BigInt(timeoutMs) * 1_000_000n;
  for (;;) {
    const answer = ask();
    if (answer !== undefined) return answer;
    if (now() > deadline) throw new Error(`Waited ${timeoutMs} ms for ${what}`);
    await setTimeout(2);
  }
}

/** All reports, read as they are written. What it finds wrong with them is added to `violations`. */
class Journal {
  /** The newest acknowledged offset of each source. */
  readonly acknowledged = new Map<string, bigint>();
  /** When the last commit of the processes of each name was acknowledged. */
  readonly lastAcknowledged = new Map<string, bigint>();
  readonly commits = new Map<string, number>();
  /** When each ambushed process stood still, and when it went on. */
  readonly halted = new Map<string, bigint>();
  readonly resumed = new Map<string, bigint>();
  readonly done = new Set<string>();
  readonly errors: string[] = [];
  readonly violations: string[] = [];
  readonly #times = new Map<string, bigint[]>();
  readonly #files = new Map<string, { readonly fd: number; position: number; rest: string }>();
  readonly #buffer = Buffer.alloc(64 * 1024);

  follow(name: string, report: string): void {
    if (!this.#files.has(name)) {
      this.#files.set(name, { fd: openSync(report, 'a+'), position: 0, rest: '' });
    }
  }

  get total(): number {
    return [...this.commits.values()].reduce((sum, count) => sum + count, 0);
  }

  /** How many commits of the processes of the name were acknowledged between the two moments. */
  between(name: string, from: bigint, to: bigint): number {
    return this.#timesOf(name).filter((at) => at > from && at < to).length;
  }

  #timesOf(name: string): bigint[] {
    let times = this.#times.get(name);
    if (times === undefined) {
      times = [];
      this.#times.set(name, times);
    }
    return times;
  }

  /** Takes in what was reported since. */
  update(): void {
    for (const [name, file] of this.#files) {
      for (;;) {
        const length = readSync(file.fd, this.#buffer, 0, this.#buffer.length, file.position);
        if (length === 0) break;
        file.position += length;
        const lines = (file.rest + this.#buffer.toString('latin1', 0, length)).split('\n');
        file.rest = lines.pop() ?? '';
        for (const line of lines) this.#take(name, line);
      }
    }
  }

  close(): void {
    for (const { fd } of this.#files.values()) closeSync(fd);
    this.#files.clear();
  }

  #take(name: string, line: string): void {
    const [kind, time = '0', source = '', value = '0'] = line.split(' ');
    const at = BigInt(time);
    switch (kind) {
      case 'A':
        this.lastAcknowledged.set(name, at);
        this.commits.set(name, (this.commits.get(name) ?? 0) + 1);
        this.#timesOf(name).push(at);
        if (BigInt(value) > (this.acknowledged.get(source) ?? -1n)) {
          this.acknowledged.set(source, BigInt(value));
        }
        break;
      case 'S':
        if (BigInt(value) < (this.acknowledged.get(source) ?? 0n)) {
          const before = this.acknowledged.get(source);
          this.violations.push(`${name} started and found ${source} at ${value}, acknowledged was ${before}`);
        }
        break;
      case 'H':
        this.halted.set(name, at);
        break;
      case 'B':
        this.resumed.set(name, at);
        break;
      case 'D':
        this.done.add(name);
        break;
      case 'E':
        this.errors.push(`${name}: ${line.slice(line.indexOf('{'))}`);
        break;
      default:
        throw new Error(`Expected a report, got ${line}`);
    }
  }
}

let bundle: Promise<string> | undefined;
let bundleDirectory: string | undefined;

/**
 * The worker as one file of JavaScript, which starts in a fraction of the time, and loads nothing later that
 * would stand among the calls of the system that are counted.
 */
async function workerBundle(): Promise<string> {
  bundle ??= (async () => {
    bundleDirectory = await mkdtemp(join(tmpdir(), 'fire-worker-'));
    const outfile = join(bundleDirectory, 'worker.cjs');
    await build({
      entryPoints: [join(__dirname, 'fire-worker.ts')],
      outfile,
      bundle: true,
      platform: 'node',
      format: 'cjs',
      logLevel: 'error',
    });
    return outfile;
  })();
  return await bundle;
}

/** A directory, the processes that work in it, and what they report. Its disposal leaves nothing of them. */
export class Crew {
  readonly directory: string;
  /** Of the offsets file. */
  readonly path: string;
  readonly journal = new Journal();
  readonly #worker: string;
  readonly #processes: ChildProcess[] = [];

  private constructor(directory: string, worker: string, path: string | undefined) {
    this.directory = directory;
    this.path = path ?? join(directory, 'offsets.json');
    this.#worker = worker;
  }

  /** @param path - of the offsets file, where it shall not lie in the crew's own directory */
  static async gather(path?: string): Promise<Crew> {
    const worker = await workerBundle();
    return new Crew(await mkdtemp(join(tmpdir(), 'fire-')), worker, path);
  }

  /** Starts a process that commits, as one of those of its name. */
  commit(name: string, rest: Partial<CommitJob> = {}): Worker {
    const report = join(this.directory, `${name}.report`);
    this.journal.follow(name, report);
    return new Worker(this, { kind: 'commit', name, path: this.path, report, ...rest });
  }

  start(job: Job, env: NodeJS.ProcessEnv = {}): ChildProcess {
    const child = spawn(process.execPath, [this.#worker, JSON.stringify(job)], {
      stdio: job.kind === 'operation' ? ['pipe', 'pipe', 'inherit'] : ['ignore', 'ignore', 'inherit'],
      // Nothing of the environment: what is set there for Node would be loaded at every start.
      env: { PATH: process.env['PATH'], UV_USE_IO_URING: '0', ...env },
    });
    // A process that is killed takes its end of the pipe along.
    child.stdin?.on('error', () => {});
    this.#processes.push(child);
    return child;
  }

  /** Ends the processes, whatever they do; what they reported can still be read. */
  async dismiss(): Promise<void> {
    await Promise.all(
      this.#processes.splice(0).map(async (child) => {
        if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return;
        const exited = once(child, 'exit');
        child.kill('SIGKILL');
        await exited;
      }),
    );
    this.journal.update();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.dismiss();
    this.journal.close();
    await rm(this.directory, { recursive: true, force: true });
  }
}

/** To be called after the tests of a file that gathers crews. */
export async function removeWorkerBundle(): Promise<void> {
  await bundle;
  if (bundleDirectory !== undefined && existsSync(bundleDirectory))
    await rm(bundleDirectory, { recursive: true });
  bundle = undefined;
}
