/**
 * Every schedule of a few simulated processes, by depth-first search: a run is made again from its beginning for
 * each way of going on that was not tried yet (processes cannot be copied, but are made again by the same
 * choices).
 *
 * Three things make that feasible, and none leaves out a schedule whose outcome could differ.
 *
 * 1. **Choices are made only before calls that others can notice**: those on the names of the file and of the
 *    tokens, and the flush of the file's directory, which is what an acknowledgement waits for. All others (on
 *    the process's own descriptors; sleeps; a lock that everybody has) give the same result and leave the same
 *    disk whether they are made before or after any call of another process: nobody else opens a token, and
 *    nobody writes to a file once it has its place. So they are made at once. A crash just before such a call is
 *    told from one just after it by nobody, so crashes too are tried only where there is a choice. One such call
 *    is not quite without effect: closing frees an inode number. Made at once, it lets the number be used again
 *    as early as can be, which is the case to fear.
 * 2. **A state that was reached before is not gone on from again.** A process is a function of the answers that
 *    it was given (its random numbers, names and clocks come from outside, and follow from how often it asked),
 *    so the answers that each process was given, and the disk, are the state. Of a crashed process nothing is
 *    left but the disk.
 * 3. **A process crashes right after a call of its own**, or before its first: what others do between that and a
 *    later crash, they can do after the earlier one as well.
 */
import type { SimCallName, SimDisk, SimFile } from './sim-fs.js';
import type { Oracle } from './sim-oracle.js';
import { Violation } from './sim-oracle.js';
import { type Outcome, type PendingCall, type SimProcess, settled, type World } from './sim-world.js';

export interface Scenario {
  readonly world: World;
  readonly disk: SimDisk;
  readonly oracle: Oracle;
}

export interface ExploreOptions {
  /** Makes everything anew, up to where the choices begin. */
  readonly build: (onCall: (call: PendingCall, outcome: Outcome) => void) => Promise<Scenario>;
  /** Whether others can notice the call. */
  readonly visible: (call: PendingCall) => boolean;
  /** How many processes may crash in one run. */
  readonly crashes: number;
  /** Called once for every disk, with what was acknowledged on it, that the end of a run leaves. */
  readonly atEnd?: ((scenario: Scenario) => void | Promise<void>) | undefined;
  /** The search ends with an error after so many runs. */
  readonly maxRuns: number;
}

export interface Exploration {
  readonly runs: number;
  readonly states: number;
  /** How many different disks the ends of runs left. */
  readonly ends: number;
  readonly violation: { readonly error: Error; readonly trace: string; readonly choices: string } | undefined;
}

const bytesKeys = new WeakMap<Buffer, string>();

/** Stands for the bytes: the header of an offsets file holds their checksum. */
function contentKey({ data }: SimFile): string {
  let key = bytesKeys.get(data);
  if (key === undefined) {
    key = data.toString('latin1', 60, 76);
    bytesKeys.set(data, key);
  }
  return key;
}

function outcomeKey(disk: SimDisk, { process, name }: PendingCall, outcome: Outcome): string {
  if (!outcome.ok) return (outcome.error as { code?: string }).code ?? 'error';
  switch (name as SimCallName) {
    case 'open': {
      const fd = outcome.value as number;
      const inode = disk.inodeOf(process, fd);
      return `${fd}:${inode?.ino}:${inode?.kind === 'file' ? contentKey(inode) : ''}`;
    }
    case 'readdir':
      return (outcome.value as string[]).join();
    case 'read':
      return String((outcome.value as { bytesRead: number }).bytesRead);
    case 'stat':
    case 'lstat':
    case 'fstat': {
      const { ino, mode, nlink, size } = outcome.value as Record<string, bigint>;
      return `${ino}:${mode}:${nlink}:${size}`;
    }
    default:
      return '';
  }
}

/** Numbers for the histories of processes: the same answers give the same number, in every run. */
class Histories {
  readonly #numbers = new Map<string, number>();

  after(before: number, call: string, outcome: string): number {
    const key = `${before} ${call} ${outcome}`;
    let number = this.#numbers.get(key);
    if (number === undefined) {
      number = this.#numbers.size + 1;
      this.#numbers.set(key, number);
    }
    return number;
  }
}

type Option =
  | { readonly kind: 'open'; readonly call: PendingCall }
  | { readonly kind: 'crash'; readonly process: SimProcess };

interface Choice {
  chosen: number;
  readonly count: number;
}

/** Makes the calls that nobody else notices, until only others are left. */
async function drain({ world, oracle }: Scenario, visible: ExploreOptions['visible']): Promise<void> {
  for (;;) {
    const own = world.pending().filter((call) => !visible(call));
    if (own.length === 0) return;
    for (const call of own) world.perform(call);
    await settled();
    if (world.failure !== undefined) throw world.failure;
    oracle.check();
  }
}

export async function explore(options: ExploreOptions): Promise<Exploration> {
  // Many runs meet many errors of the file system, and would spend a fifth of their time on writing stacks down.
  const { stackTraceLimit } = Error;
  Error.stackTraceLimit = 0;
  try {
    return await search(options);
  } finally {
    Error.stackTraceLimit = stackTraceLimit;
  }
}

async function search({ build, visible, crashes, atEnd, maxRuns }: ExploreOptions): Promise<Exploration> {
  const histories = new Histories();
  const known = new Set<string>();
  const choices: Choice[] = [];
  const ends = new Set<string>();
  let runs = 0;
  for (;;) {
    if (runs >= maxRuns) throw new Error(`Expected the search to end within ${maxRuns} runs`);
    runs += 1;
    const history: number[] = [];
    let disk: SimDisk | undefined;
    const scenario = await build((call, outcome) => {
      if (disk === undefined) return;
      const { id } = call.process;
      const text = `${call.name} ${call.args[0] as string | number}`;
      history[id] = histories.after(history[id] ?? 0, text, outcomeKey(disk, call, outcome));
    });
    ({ disk } = scenario);
    const { world, oracle } = scenario;
    let crashesLeft = crashes;
    let last: SimProcess | undefined;
    try {
      for (let depth = 0; ; depth++) {
        await drain(scenario, visible);
        const options: Option[] = world.pending().map((call) => ({ kind: 'open', call }));
        if (options.length === 0) {
          const end = `${oracle.key()} ${disk.key(oracle.path, contentKey)}`;
          if (!ends.has(end)) {
            ends.add(end);
            await atEnd?.(scenario);
          }
          break;
        }
        if (crashesLeft > 0) {
          for (const process of last === undefined ? world.processes : [last]) {
            if (process.state === 'running') options.push({ kind: 'crash', process });
          }
        }
        let choice = choices[depth];
        if (choice === undefined) {
          const lives = world.processes.map(({ id, state }) => (state === 'crashed' ? 'x' : history[id]));
          const key = `${lives.join()} ${crashesLeft} ${oracle.key()} ${disk.key(oracle.path, contentKey)}`;
          if (known.has(key)) break;
          known.add(key);
          choice = { chosen: 0, count: options.length };
          choices.push(choice);
        }
        const option = options[choice.chosen];
        if (option === undefined || options.length !== choice.count) {
          throw new Error('Expected a run to be the same when it is made again');
        }
        if (option.kind === 'crash') {
          crashesLeft -= 1;
          option.process.crash();
        } else {
          last = option.call.process;
          await world.open(option.call);
        }
        oracle.check();
      }
    } catch (error) {
      if (!(error instanceof Violation)) throw error;
      const violation = {
        error,
        trace: world.describe(),
        choices: choices.map(({ chosen }) => chosen).join(','),
      };
      return { runs, states: known.size, ends: ends.size, violation };
    }
    while (choices.length > 0) {
      const choice = choices.at(-1) as Choice;
      choice.chosen += 1;
      if (choice.chosen < choice.count) break;
      choices.pop();
    }
    if (choices.length === 0) return { runs, states: known.size, ends: ends.size, violation: undefined };
    // The event loop gets its turn: timers of the test runner are served.
    if (runs % 64 === 0) await new Promise((resolve) => setImmediate(resolve));
  }
}
