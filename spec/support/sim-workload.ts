/**
 * A run that follows from its seed: some processes that commit, read, reset, claim, close and open again, in one
 * file, with a lock of some kind, in some order; one of them may crash, and the power may go.
 */
import { OffsetError } from '../../lib/errors.js';
import { FileOffsetStore } from '../../lib/stores/file/file-store.js';
import { Random } from './fire-random.js';
import { simDisk } from './sim-commit-race.js';
import type { SimDisk } from './sim-fs.js';
import { LOCK_KINDS, SimLock, type SimLockKind } from './sim-lock.js';
import type { Mutation } from './sim-mutants.js';
import { Oracle, Violation } from './sim-oracle.js';
import { type PendingCall, settled, type SimProcess, World } from './sim-world.js';

/**
 * `'uniform'`: any call may be next. `'priorities'`: one process runs until it sleeps, or until chance gives
 * another the word; finds what needs long waits of one of them. `'timed'`: calls and pauses last as long as they
 * say, so this one is fair.
 */
type Schedule = 'uniform' | 'priorities' | 'timed';

/** What a seed does not decide. */
export interface WorkloadOptions {
  readonly lock?: SimLockKind | undefined;
  readonly schedule?: Schedule | undefined;
  readonly mutation?: Mutation | undefined;
  readonly crash?: boolean | undefined;
  readonly powerLoss?: boolean | undefined;
}

export interface WorkloadReport {
  readonly calls: number;
  readonly versions: number;
  readonly crashed: boolean;
  readonly lostPower: boolean;
  /** How long after the crash, by the simulated clock, the others were all done, in milliseconds; 0 without one. */
  readonly afterCrashMs: number;
}

/** After so many calls an unfair schedule becomes a fair one; then there are as many again, ten times, to finish. */
const UNFAIR_CALLS = 3000;

/** Which all go on with, and reset, and claim. */
const SHARED = 'shared';

/** Where all commit the same offsets, so that many find done what they came to do. */
const SAME = 'same';

export async function runWorkload(seed: number, options: WorkloadOptions = {}): Promise<WorkloadReport> {
  const { stackTraceLimit } = Error;
  // Looked-for files that are not there are met by the thousand; see explore().
  Error.stackTraceLimit = 0;
  const workload = new Workload(seed, options);
  try {
    return await workload.run();
  } catch (error) {
    const { mutation: _, ...given } = options;
    const variables =
      Object.keys(given).length === 0
        ? `SEED=${seed}`
        : `SEED=${seed} SEED_OPTIONS='${JSON.stringify(given)}'`;
    throw new Violation(
      `Seed ${seed} (${workload.title}): ${(error as Error).message}\nThe last calls were:\n${workload.trace()}\n` +
        `To run it again: ${variables} npx jest spec/stores/file/model/schedules`,
      { cause: error },
    );
  } finally {
    Error.stackTraceLimit = stackTraceLimit;
  }
}

class Workload {
  readonly title: string;
  readonly #random: Random;
  readonly #path: string;
  readonly #lockKind: SimLockKind;
  readonly #schedule: Schedule;
  readonly #mutation: Mutation | undefined;
  readonly #crash: boolean;
  readonly #powerLoss: boolean;
  readonly #processes: number;
  #world: World;
  #disk: SimDisk;
  #lock: SimLock;
  readonly #oracle: Oracle;
  #calls = 0;
  /** Who has made the last call, if that was a rename. */
  #renamed: SimProcess | undefined;
  /** Distinguishes the processes of before a power loss from those after it. */
  #life = 0;

  constructor(seed: number, options: WorkloadOptions) {
    const random = new Random(seed);
    this.#random = random;
    // All are drawn, so that what an option takes away from chance changes nothing else.
    const lock = random.pick(LOCK_KINDS);
    const schedule = random.pick<Schedule>(['uniform', 'priorities', 'timed']);
    const crash = random.chance(0.5);
    const powerLoss = random.chance(0.3);
    this.#processes = 2 + random.below(3);
    this.#path = random.chance(0.3) ? '/store/not/yet/there.json' : '/store/offsets.json';
    this.#lockKind = options.lock ?? lock;
    this.#schedule = options.schedule ?? schedule;
    this.#crash = options.crash ?? crash;
    this.#powerLoss = options.powerLoss ?? powerLoss;
    this.#mutation = options.mutation;
    this.#disk = simDisk();
    this.#world = this.#newWorld();
    this.#lock = new SimLock(this.#lockKind, random);
    this.#oracle = new Oracle(this.#disk, this.#path);
    this.title =
      `${this.#processes} processes, lock ${this.#lockKind}, schedule ${this.#schedule}` +
      `${this.#crash ? ', a crash' : ''}${this.#powerLoss ? ', a power loss' : ''}`;
  }

  trace(): string {
    return this.#world.describe().split('\n').slice(-200).join('\n');
  }

  async run(): Promise<WorkloadReport> {
    for (let id = 0; id < this.#processes; id++) this.#start(2 + this.#random.below(3));
    await settled();
    let crashAt = this.#crash ? this.#random.below(60 * this.#processes) : -1;
    // Half of the crashes come between a rename and the flush of the directory.
    const afterRename = this.#random.chance(0.5);
    const powerLossAt = this.#powerLoss ? this.#random.below(80 * this.#processes) : -1;
    let crashedAt: number | undefined;
    let lostPower = false;
    for (let call = this.#next(); call !== undefined; call = this.#next()) {
      if (crashAt >= 0 && this.#calls >= crashAt && (!afterRename || this.#renamed !== undefined)) {
        crashAt = -1;
        crashedAt = this.#world.time;
        this.#crashOne();
        continue;
      }
      if (this.#calls === powerLossAt) {
        lostPower = true;
        break;
      }
      await this.#open(call);
    }
    const afterCrashMs = crashedAt === undefined || lostPower ? 0 : this.#world.time - crashedAt;
    if (lostPower) await this.#restart();
    await this.#finish();
    return {
      calls: this.#calls,
      versions: this.#oracle.versions,
      crashed: crashedAt !== undefined,
      lostPower,
      afterCrashMs,
    };
  }

  /** The power goes, and comes back; new processes go on with what is left, beside what lies about. */
  async #restart(): Promise<void> {
    for (const process of this.#world.processes) process.crash();
    this.#disk = this.#disk.losePower(this.#random);
    this.#life += 1;
    this.#world = this.#newWorld();
    this.#lock = new SimLock(this.#lockKind, this.#random);
    this.#oracle.restart(this.#disk);
    this.#start(2);
    this.#start(2);
    await settled();
    for (let call = this.#next(); call !== undefined; call = this.#next()) await this.#open(call);
  }

  /** When all are done, one that comes late finds everything, and has no trouble to go on. */
  async #finish(): Promise<void> {
    this.#life += 1;
    const late = this.#start(1);
    await settled();
    for (let calls = 0; late.state === 'running'; calls++) {
      const [call] = late.pending;
      if (call === undefined || calls > 5000) throw new Violation('Nobody is there, and one cannot commit');
      await this.#open(call);
    }
  }

  #newWorld(): World {
    const random = this.#random;
    return new World({
      disk: this.#disk,
      life: this.#life,
      callsFor: (calls, process) => this.#mutation?.(calls, process, this.#disk, this.#path) ?? calls,
      duration: () => random.next(),
      randomFor: () => () => random.next(),
    });
  }

  async #open(call: PendingCall): Promise<void> {
    this.#calls += 1;
    this.#renamed = call.name === 'rename' ? call.process : undefined;
    await this.#world.open(call);
    this.#oracle.check();
  }

  /** The call that is made next; undefined when there is nothing more to do. */
  #next(): PendingCall | undefined {
    const world = this.#world;
    const pending = world.pending();
    if (pending.length === 0) {
      const waiting = world.processes.filter(({ state }) => state === 'running');
      if (waiting.length > 0) throw new Violation(`${waiting[0]?.name} waits for nothing`);
      return undefined;
    }
    if (this.#calls > 11 * UNFAIR_CALLS) throw new Violation(`It goes on after ${this.#calls} calls`);
    const schedule = this.#calls > UNFAIR_CALLS ? 'timed' : this.#schedule;
    switch (schedule) {
      case 'uniform':
        return this.#random.pick(pending);
      case 'timed':
        return pending.reduce((first, call) => (call.due < first.due ? call : first));
      default: {
        // The order of the processes in the list is that of their priorities.
        const first = pending[0] as PendingCall;
        // What one has renamed and not flushed is the most delicate thing that others can meet.
        if (first.name === 'sleep' || this.#random.chance(this.#renamed === first.process ? 0.3 : 0.05)) {
          const { processes } = world;
          processes.push(...processes.splice(processes.indexOf(first.process), 1));
        }
        return first;
      }
    }
  }

  /** As by SIGKILL; or by exit(), which takes the lock away while calls are still under way. */
  #crashOne(): void {
    const alive = this.#world.processes.filter(({ state }) => state === 'running');
    if (alive.length === 0) return;
    const process = alive.find((process) => process === this.#renamed) ?? this.#random.pick(alive);
    this.#renamed = undefined;
    const exits = this.#random.chance(0.3);
    const inFlight = process.pending.filter(({ name }) => name !== 'sleep' && name !== 'compromised');
    if (exits) this.#lock.exit(process);
    process.crash(exits ? inFlight.filter(({ name }) => name !== 'lock' && name !== 'release') : []);
    this.#calls += 1;
  }

  #start(rounds: number): SimProcess {
    return this.#world.start((process) => this.#program(process, `${process.name}-${this.#life}`, rounds));
  }

  async #program(process: SimProcess, name: string, rounds: number): Promise<void> {
    const random = this.#random;
    const open = (): FileOffsetStore =>
      new FileOffsetStore(this.#path, {
        ...process.storeOptions(),
        lock: this.#lock.moduleOf(process),
        lockTimeoutMs: 2 ** 31 - 1,
        lockHoldMs: random.pick([0, 20]),
      });
    let store = open();
    let own = 0;
    for (let round = 0; round < rounds; round++) {
      await this.#commitSame(store, round + 1);
      const kind = random.below(10);
      if (kind < 4) {
        await this.#commit(store, name, ++own);
      } else if (kind < 5) {
        const [first, second] = [++own, ++own];
        await Promise.all([this.#commit(store, name, first), this.#commit(store, name, second)]);
      } else if (kind < 8) {
        await this.#commitShared(store, name);
      } else if (kind < 9) {
        await this.#raiseShared(store);
      } else {
        await store.close();
        store = open();
      }
      await this.#read(store, name, random.chance(0.5) ? name : SHARED);
    }
    await this.#commit(store, name, ++own);
    for (const source of [name, SHARED]) await this.#read(store, name, source);
    await store.close();
  }

  async #commit(store: FileOffsetStore, source: string, offset: number): Promise<void> {
    await store.commit(source, offset);
    this.#oracle.acknowledge(source, { epoch: 0, offset: BigInt(offset) });
  }

  async #commitSame(store: FileOffsetStore, offset: number): Promise<void> {
    try {
      await store.commit(SAME, offset);
    } catch (error) {
      if (!(error instanceof OffsetError) || error.code !== 'OFFSET_BEHIND') throw error;
      return;
    }
    this.#oracle.acknowledge(SAME, { epoch: 0, offset: BigInt(offset) });
  }

  /** Goes on from where the source is; another may have done the same meanwhile, and then this one is refused. */
  async #commitShared(store: FileOffsetStore, name: string): Promise<void> {
    const since = this.#oracle.acknowledged(SHARED);
    const checkpoint = await store.inspect(SHARED);
    const last = checkpoint?.offset.kind === 'sequence' ? checkpoint.offset.value : -1n;
    const epoch = checkpoint?.epoch ?? (await store.epoch(SHARED));
    if (checkpoint !== undefined) this.#oracle.read(name, SHARED, since, { epoch, offset: last });
    const offset = last + 1n;
    try {
      await store.commit(SHARED, offset, { epoch });
    } catch (error) {
      const code = error instanceof OffsetError ? error.code : undefined;
      if (code !== 'OFFSET_BEHIND' && code !== 'OFFSET_FENCED') throw error;
      return;
    }
    this.#oracle.acknowledge(SHARED, { epoch, offset });
  }

  async #raiseShared(store: FileOffsetStore): Promise<void> {
    if (this.#random.chance(0.5)) {
      const offset = BigInt(this.#random.below(3));
      const epoch = await store.reset(SHARED, offset);
      this.#oracle.acknowledge(SHARED, { epoch, offset });
    } else {
      const epoch = await store.claim(SHARED);
      this.#oracle.acknowledge(SHARED, { epoch, offset: -1n });
    }
  }

  async #read(store: FileOffsetStore, reader: string, source: string): Promise<void> {
    const since = this.#oracle.acknowledged(source);
    const checkpoint = await store.inspect(source);
    const epoch = checkpoint?.epoch ?? (await store.epoch(source));
    const offset = checkpoint?.offset.kind === 'sequence' ? checkpoint.offset.value : -1n;
    this.#oracle.read(reader, source, since, { epoch, offset });
  }
}
