/**
 * Locks for simulated processes, from the one that does what its name says to those that do what locks do on
 * bad days. The store must be right with every one of them.
 */
import type { LockModule } from '../../lib/stores/file/lock.js';
import type { Random } from './fire-random.js';
import { simError } from './sim-fs.js';
import type { SimProcess } from './sim-world.js';

/**
 * `'proper'`: one holder; that of the dead is free after it has turned stale. `'none'`: all that want it hold it.
 * `'stolen'`: it is taken from the living at any moment, and they may learn of it, or not. `'released'`: whoever
 * gives it back gives it back for whoever holds it by then.
 */
export type SimLockKind = 'proper' | 'none' | 'stolen' | 'released';

export const LOCK_KINDS: readonly SimLockKind[] = ['proper', 'none', 'stolen', 'released'];

const STALE_MS = 2000;

interface Holder {
  readonly process: SimProcess;
  readonly onCompromised: (error: Error) => void;
}

export class SimLock {
  readonly #kind: SimLockKind;
  readonly #random: Random;
  #holder: Holder | undefined;

  constructor(kind: SimLockKind, random: Random) {
    this.#kind = kind;
    this.#random = random;
  }

  get holder(): SimProcess | undefined {
    return this.#holder?.process;
  }

  /** What proper-lockfile does when its process exits in good order: the lock goes, whatever is under way. */
  exit(process: SimProcess): void {
    if (this.#holder?.process === process) this.#holder = undefined;
  }

  moduleOf(process: SimProcess): LockModule {
    return {
      lock: async (path, { onCompromised }) => {
        const mine = { process, onCompromised };
        await process.gate('lock', [path], () => this.#take(mine, path));
        return async () => {
          await process.gate('release', [path], () => this.#release(mine, path));
        };
      },
    };
  }

  #take(mine: Holder, path: string): void {
    const holder = this.#holder;
    if (this.#kind !== 'none' && holder !== undefined && !this.#mayTakeFrom(holder)) {
      throw simError('ELOCKED', 'lock', path);
    }
    this.#holder = mine;
  }

  #mayTakeFrom({ process, onCompromised }: Holder): boolean {
    if (process.state === 'crashed') return process.world.time >= process.crashedAt + STALE_MS;
    if (this.#kind !== 'stolen' || !this.#random.chance(0.3)) return false;
    if (this.#random.chance(0.5)) {
      void process.gate('compromised', [], () => onCompromised(new Error('The lock was stolen')));
    }
    return true;
  }

  #release(mine: Holder, path: string): void {
    const foreign = this.#holder !== mine;
    if (!foreign || this.#kind === 'released') this.#holder = undefined;
    if (foreign || (this.#kind === 'released' && this.#random.chance(0.3))) {
      throw simError('ENOTACQUIRED', 'release', path);
    }
  }
}
