/**
 * Simulated processes on one simulated disk. Each call that a process makes to the file system, to the lock or
 * to sleep stops at a gate; nothing happens until the gate is opened, and then the call happens at once and as
 * a whole. Between two openings every process runs as far as it can: to its next gate. So a run is nothing but
 * the order in which gates were opened, and can be made again, or made in every order that there is.
 *
 * A process that crashes is one whose gates are never opened again.
 */
import type { FileOffsetStoreOptions } from '../../lib/stores/file/file-store.js';
import type { FileSystem } from '../../lib/stores/file/io.js';
import { type SimCallName, type SimCalls, type SimDisk } from './sim-fs.js';

/** A call at its gate. */
export interface PendingCall {
  readonly process: SimProcess;
  readonly name: SimCallName | 'lock' | 'release' | 'compromised' | 'sleep';
  readonly args: readonly unknown[];
  /** When it would be done if nothing else delayed it, in milliseconds of the world's clock. */
  readonly due: number;
  readonly run: () => unknown;
  readonly deliver: (outcome: Outcome) => void;
}

export type Outcome =
  { readonly ok: true; readonly value: unknown } | { readonly ok: false; readonly error: unknown };

export interface WorldOptions {
  readonly disk: SimDisk;
  /** Which life of the machine it is, from 0: no process makes names that one of an earlier life made. */
  readonly life?: number | undefined;
  /** What a process's calls are made of; for mutants. Default: the disk's own. */
  readonly callsFor?: ((calls: SimCalls, process: SimProcess) => SimCalls) | undefined;
  /** How long a call takes, in milliseconds. Default: no time at all. */
  readonly duration?: (() => number) | undefined;
  /** The jitter of a process, 0 … 1. Default: always a half. */
  readonly randomFor?: ((process: SimProcess) => () => number) | undefined;
  /** Called when a call was made, before the process goes on. */
  readonly onCall?: ((call: PendingCall, outcome: Outcome) => void) | undefined;
}

/** Runs what was made possible, promise by promise, until every process waits at its gates. */
export function settled(): Promise<void> {
  // A tick is served when no promise has anything left to do; timers and real I/O there are none.
  // oxlint-disable-next-line unicorn/prefer-event-target -- process.nextTick is what is meant.
  return new Promise((resolve) => process.nextTick(resolve));
}

const CALLS: readonly SimCallName[] = [
  'open',
  'close',
  'read',
  'write',
  'fsync',
  'fstat',
  'fchmod',
  'fchown',
  'stat',
  'lstat',
  'realpath',
  'readlink',
  'readdir',
  'mkdir',
  'chmod',
  'rmdir',
  'link',
  'rename',
  'unlink',
];

export class SimProcess {
  readonly world: World;
  readonly id: number;
  readonly calls: SimCalls;
  /** Its calls at their gates, in the order in which it made them. */
  pending: PendingCall[] = [];
  state: 'running' | 'done' | 'crashed' = 'running';
  /** When it crashed, by the world's clock. */
  crashedAt = 0;
  /** How many milliseconds it has slept, or how often, for worlds whose clock stands still. */
  sleeps = 0;
  readonly fs: FileSystem;
  #names = 0;

  constructor(world: World, id: number) {
    this.world = world;
    this.id = id;
    const { disk, callsFor } = world.options;
    const calls = disk.callsOf(this);
    this.calls = callsFor?.(calls, this) ?? calls;
    const gated: Record<string, unknown> = { windows: false };
    for (const name of CALLS) {
      const call = this.calls[name] as (...args: unknown[]) => unknown;
      gated[name] = (...args: unknown[]) => this.gate(name, args, () => call(...args));
    }
    this.fs = gated as unknown as FileSystem;
  }

  get name(): string {
    return `p${this.id}`;
  }

  /** The options of a store of this process. */
  storeOptions(): FileOffsetStoreOptions {
    const { world } = this;
    return {
      fs: this.fs,
      now: () => world.wallClock(),
      monotonicNow: () => world.clock(this),
      random: world.options.randomFor?.(this) ?? (() => 0.5),
      randomUUID: () => {
        this.#names += 1;
        const life = String(world.options.life ?? 0).padStart(4, '0');
        return `${String(this.id).padStart(8, '0')}-${life}-4000-8000-${String(this.#names).padStart(12, '0')}`;
      },
      sleep: async (ms) => {
        await this.gate('sleep', [ms], () => {
          this.sleeps += 1;
        });
      },
    };
  }

  gate<T>(name: PendingCall['name'], args: readonly unknown[], run: () => T): Promise<T> {
    const { world } = this;
    return new Promise<T>((resolve, reject) => {
      // The dead make no calls, and are told nothing.
      if (this.state === 'crashed') return;
      const due = world.time + (name === 'sleep' ? (args[0] as number) : (world.options.duration?.() ?? 0));
      this.pending.push({
        process: this,
        name,
        args,
        due,
        run,
        deliver: (outcome) => {
          if (outcome.ok) resolve(outcome.value as T);
          else reject(outcome.error);
        },
      });
    });
  }

  /**
   * Ends the process. Its descriptors are closed, and its lock stays.
   *
   * @param inFlight - calls that the system has taken already, and will carry out after the end
   */
  crash(inFlight: readonly PendingCall[] = []): void {
    this.state = 'crashed';
    this.crashedAt = this.world.time;
    this.pending = [...inFlight];
    if (inFlight.length === 0) this.world.options.disk.closeAll(this);
  }
}

export class World {
  readonly options: WorldOptions;
  readonly processes: SimProcess[] = [];
  /** What was done, one call each; text is made of it only when it is asked for. */
  readonly trace: { readonly call: PendingCall; readonly outcome: Outcome }[] = [];
  /** In milliseconds; goes forward as the scheduler lets it. */
  time = 0;
  /** A clock that stands still, and tells each process only how often it has slept: for exhaustive runs. */
  frozen = false;

  constructor(options: WorldOptions) {
    this.options = options;
  }

  wallClock(): number {
    return Date.UTC(2026, 0, 1) + (this.frozen ? 0 : Math.floor(this.time));
  }

  clock(process: SimProcess): number {
    return this.frozen ? process.sleeps : this.time;
  }

  /** Starts a process; what its program rejects with is the world's failure. */
  start(program: (process: SimProcess) => Promise<void>): SimProcess {
    const process = new SimProcess(this, this.processes.length);
    this.processes.push(process);
    void this.#run(process, program);
    return process;
  }

  /** What a program failed with, other than by crashing. */
  failure: unknown;

  async #run(process: SimProcess, program: (process: SimProcess) => Promise<void>): Promise<void> {
    try {
      await program(process);
      if (process.state === 'running') process.state = 'done';
    } catch (error) {
      if (process.state === 'running') {
        process.state = 'done';
        this.failure ??= error;
      }
    }
  }

  /** All calls at their gates. */
  pending(): PendingCall[] {
    return this.processes.flatMap(({ pending }) => pending);
  }

  /** Opens a gate, and lets the processes run to their next ones. */
  async open(call: PendingCall): Promise<void> {
    this.perform(call);
    await settled();
    if (this.failure !== undefined) throw this.failure;
  }

  perform(call: PendingCall): void {
    const { process } = call;
    process.pending.splice(process.pending.indexOf(call), 1);
    if (call.due > this.time) this.time = call.due;
    let outcome: Outcome;
    try {
      outcome = { ok: true, value: call.run() };
    } catch (error) {
      outcome = { ok: false, error };
    }
    this.trace.push({ call, outcome });
    this.options.onCall?.(call, outcome);
    if (process.state !== 'crashed') call.deliver(outcome);
    else if (process.pending.length === 0) this.options.disk.closeAll(process);
  }

  /** What was done, a line each. */
  describe(): string {
    return this.trace.map(({ call, outcome }) => describeCall(call, outcome)).join('\n');
  }
}

function describeCall({ process, name, args }: PendingCall, outcome: Outcome): string {
  const shown = args
    .map((arg) => (arg instanceof Uint8Array ? `<${arg.length} bytes>` : String(arg)))
    .join(', ');
  let result = '';
  if (!outcome.ok) {
    result = ` → ${(outcome.error as { code?: string }).code ?? String(outcome.error)}`;
  } else if (Array.isArray(outcome.value)) {
    result = ` → [${outcome.value.join(', ')}]`;
  } else if (typeof outcome.value === 'number') {
    result = ` → ${outcome.value}`;
  } else if (typeof outcome.value === 'object' && outcome.value !== null && 'ino' in outcome.value) {
    result = ` → inode ${String(outcome.value.ino)}`;
  }
  return `${process.name} ${name}(${shown})${result}`;
}
