/**
 * The commit protocol as a machine of a few states, small enough to be followed through every schedule of more
 * processes and commits than the store's own code can be. It is not trusted by itself: {@link ProtocolShadow}
 * walks along with runs of the store's own code, and finds every call that is not the machine's next step.
 *
 * Each process has at most one token, so a token is named by its owner. A name on a list of tokens to be swept
 * that is gone by then is struck off the list: names are not used again, so its removal would do nothing.
 */
import { posix } from 'node:path';
import { codeOf, type FileStat } from '../../../../lib/stores/file/io.js';
import type { SimDisk } from '../../../support/sim-fs.js';
import { Violation } from '../../../support/sim-oracle.js';
import type { Outcome, PendingCall } from '../../../support/sim-world.js';

export type Step = 'token' | 'list' | 'sweep' | 'read' | 'rename' | 'flush' | 'acknowledge';

const PROTOCOL: readonly Step[] = ['token', 'list', 'sweep', 'read', 'rename', 'flush', 'acknowledge'];

/** The protocol with one thing wrong. */
export const PROTOCOL_MUTANTS: Readonly<Record<string, readonly Step[]>> = {
  'sweep before token': ['list', 'sweep', 'token', 'read', 'rename', 'flush', 'acknowledge'],
  'read before sweep': ['token', 'read', 'list', 'sweep', 'rename', 'flush', 'acknowledge'],
  'no sweep': ['token', 'read', 'rename', 'flush', 'acknowledge'],
  'no flush of the directory': ['token', 'list', 'sweep', 'read', 'rename', 'acknowledge'],
};

/** How many commits of each process a file holds. */
type Version = readonly number[];

interface Local {
  /** The place in the protocol; -1 when crashed. */
  readonly at: number;
  readonly toSweep: readonly number[];
  readonly read: Version;
  readonly acknowledged: number;
}

export interface State {
  readonly tokens: readonly number[];
  readonly file: Version;
  /** What may be there after a power loss; the file itself is always one of them. */
  readonly durable: readonly Version[];
  readonly locals: readonly Local[];
}

export type Action =
  | { readonly kind: Exclude<Step, 'sweep'> | 'crash'; readonly process: number }
  | { readonly kind: 'sweep'; readonly process: number; readonly token: number };

function initialState(processes: number): State {
  const nothing = Array.from({ length: processes }, () => 0);
  const local: Local = { at: 0, toSweep: [], read: nothing, acknowledged: 0 };
  return { tokens: [], file: nothing, durable: [nothing], locals: nothing.map(() => local) };
}

const without = (list: readonly number[], item: number): readonly number[] =>
  list.includes(item) ? list.filter((other) => other !== item) : list;

export class Protocol {
  readonly #steps: readonly Step[];

  constructor(steps: readonly Step[] = PROTOCOL) {
    this.#steps = steps;
  }

  /** The step that the process stands before; a sweep of nothing is none. */
  stepOf({ at, toSweep }: Local): Step | undefined {
    const step = this.#steps[at];
    return step === 'sweep' && toSweep.length === 0 ? this.#steps[at + 1] : step;
  }

  /** What can happen next, if each process makes so many commits and then stops. */
  actions({ locals }: State, commits: number): Action[] {
    const actions: Action[] = [];
    for (const [process, local] of locals.entries()) {
      const kind = this.stepOf(local);
      if (kind === undefined || local.acknowledged === commits) continue;
      actions.push({ kind: 'crash', process });
      if (kind === 'sweep') {
        for (const token of local.toSweep) actions.push({ kind, process, token });
      } else {
        actions.push({ kind, process });
        // Whoever holds the file open looks first whether it is still the one, and then reads it: twice a read.
        if (kind === 'rename' && this.#steps[local.at - 1] === 'read')
          actions.push({ kind: 'read', process });
      }
    }
    return actions;
  }

  /** @throws Violation where a writer undoes what it has not read, or an acknowledged commit is not there */
  apply(state: State, action: Action): State {
    const { process } = action;
    const locals = [...state.locals];
    let { tokens, file, durable } = state;
    const local = locals[process] as Local;
    const set = (change: Partial<Local>): void => {
      locals[process] = { ...(locals[process] as Local), ...change };
    };
    const removeToken = (token: number): void => {
      tokens = without(tokens, token);
      for (const [other, { toSweep }] of locals.entries()) {
        if (toSweep.includes(token)) {
          locals[other] = { ...(locals[other] as Local), toSweep: without(toSweep, token) };
        }
      }
    };
    if (action.kind === 'crash') {
      set({ at: -1, toSweep: [], read: file.map(() => 0) });
      return { tokens, file, durable, locals };
    }
    const again = action.kind === 'read' && this.stepOf(local) === 'rename';
    if (this.stepOf(local) !== action.kind && !again) {
      throw new Violation(`p${process} is at ${this.stepOf(local)}, and does ${action.kind}`);
    }
    const next = this.#steps.indexOf(action.kind) + 1;
    switch (action.kind) {
      case 'token':
        tokens = [...tokens, process].toSorted((a, b) => a - b);
        set({ at: next });
        break;
      case 'list':
        set({ at: next, toSweep: without(tokens, process) });
        break;
      case 'sweep':
        removeToken(action.token);
        break;
      case 'read':
        set({ at: next, read: file });
        break;
      case 'rename': {
        if (!tokens.includes(process)) {
          set({ at: 0, toSweep: [], read: file.map(() => 0) });
          break;
        }
        if (local.read.join() !== file.join()) {
          throw new Violation(`p${process} had read ${local.read.join()}, and replaces ${file.join()}`);
        }
        file = file.map((count, index) => (index === process ? count + 1 : count));
        durable = [...durable, file];
        set({ at: next, toSweep: [], read: file.map(() => 0) });
        removeToken(process);
        break;
      }
      case 'flush':
        durable = [file];
        set({ at: next });
        break;
      case 'acknowledge':
        set({ at: 0, acknowledged: local.acknowledged + 1 });
        break;
    }
    for (const version of durable) {
      for (const [index, { acknowledged }] of locals.entries()) {
        if ((version[index] ?? 0) < acknowledged) {
          throw new Violation(`Commit ${acknowledged} of p${index} was acknowledged, and may be lost`);
        }
      }
    }
    return { tokens, file, durable, locals };
  }

  key({ tokens, file, durable, locals }: State): string {
    const lives = locals.map(
      ({ at, toSweep, read, acknowledged }) => `${at}/${toSweep.join()}/${read.join()}/${acknowledged}`,
    );
    return `${tokens.join()} ${file.join()} ${durable.join('<')} ${lives.join(' ')}`;
  }
}

export interface Check {
  readonly states: number;
  readonly violation: Violation | undefined;
}

/** Every state that so many processes can reach with so many commits each, and any of them crashing anywhere. */
export function checkProtocol(protocol: Protocol, processes: number, commits: number): Check {
  const first = initialState(processes);
  const known = new Set([protocol.key(first)]);
  const open = [first];
  for (let state = open.pop(); state !== undefined; state = open.pop()) {
    for (const action of protocol.actions(state, commits)) {
      let next: State;
      try {
        next = protocol.apply(state, action);
      } catch (error) {
        if (!(error instanceof Violation)) throw error;
        return { states: known.size, violation: error };
      }
      const key = protocol.key(next);
      if (known.has(key)) continue;
      known.add(key);
      open.push(next);
    }
  }
  return { states: known.size, violation: undefined };
}

/**
 * Walks along with the calls that processes make, each of which commits to a source of its own, and makes the
 * machine do the same: a call that is not the machine's next step, or that has another result than the machine's,
 * is a violation. So the machine cannot come to differ from the code.
 */
export class ProtocolShadow {
  readonly #protocol = new Protocol();
  readonly #disk: SimDisk;
  readonly #path: string;
  #state: State;
  /** How many steps the machine has made. */
  steps = 0;

  constructor(disk: SimDisk, path: string, processes: number) {
    this.#disk = disk;
    this.#path = path;
    this.#state = initialState(processes);
  }

  /** How many versions of the file the machine has seen made. */
  get versions(): number {
    return this.#state.file.reduce((sum, count) => sum + count, 0);
  }

  onCall({ process, name, args }: PendingCall, outcome: Outcome): void {
    const { id } = process;
    const [target, second] = args;
    const tokens = `${this.#path}.tmp`;
    const local = this.#state.locals[id] as Local;
    const step = this.#protocol.stepOf(local);
    switch (name) {
      case 'open':
        if (second === 'wx+' && outcome.ok) this.#apply({ kind: 'token', process: id });
        else if (target === this.#path) {
          const inode = outcome.ok ? this.#disk.inodeOf(process, outcome.value as number) : undefined;
          this.#look(id, step, inode?.ino);
        }
        return;
      case 'stat':
        if (target === this.#path) {
          this.#look(id, step, outcome.ok ? Number((outcome.value as FileStat).ino) : undefined);
        }
        return;
      case 'readdir': {
        if (target !== tokens || !outcome.ok) throw new Violation(`p${id} lists ${String(target)}`);
        const owners = (outcome.value as string[]).map(ownerOf).toSorted((a, b) => a - b);
        if (owners.join() !== this.#state.tokens.join()) {
          throw new Violation(`p${id} finds tokens of ${owners.join()}, not ${this.#state.tokens.join()}`);
        }
        this.#apply({ kind: 'list', process: id });
        return;
      }
      case 'unlink': {
        if (posix.dirname(target as string) !== tokens)
          throw new Violation(`p${id} removes ${String(target)}`);
        // What is gone already was struck off the machine's list.
        if (!outcome.ok && codeOf(outcome.error) === 'ENOENT') return;
        this.#apply({ kind: 'sweep', process: id, token: ownerOf(posix.basename(target as string)) });
        return;
      }
      case 'rename':
        if (second !== this.#path || ownerOf(posix.basename(target as string)) !== id) {
          throw new Violation(`p${id} renames ${String(target)} to ${String(second)}`);
        }
        if (outcome.ok !== this.#state.tokens.includes(id)) {
          throw new Violation(`p${id} ${outcome.ok ? 'wins' : 'loses'}, and should not`);
        }
        this.#apply({ kind: 'rename', process: id });
        return;
      case 'fsync':
        if (this.#disk.inodeOf(process, target as number) !== this.#disk.find(posix.dirname(this.#path)))
          return;
        this.#apply({ kind: 'flush', process: id });
        this.#apply({ kind: 'acknowledge', process: id });
        return;
      case 'link':
      case 'rmdir':
        throw new Violation(`p${id} does ${name} on ${String(target)}`);
      default:
        return;
    }
  }

  /** A look at the file: before the token is made, and after it was lost, nothing depends on it. */
  #look(process: number, step: Step | undefined, ino: number | undefined): void {
    if (ino !== this.#disk.find(this.#path)?.ino) throw new Violation(`p${process} is shown another file`);
    if (step !== 'token') this.#apply({ kind: 'read', process });
  }

  #apply(action: Action): void {
    this.#state = this.#protocol.apply(this.#state, action);
    this.steps += 1;
  }
}

function ownerOf(name: string): number {
  return Number.parseInt(name, 10);
}
