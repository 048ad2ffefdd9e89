import { setTimeout } from 'node:timers/promises';
import { FileOffsetStore } from '../../lib/stores/file/file-store.js';
import type { Crew } from './fire-crew.js';
import { readStandingsAt, type Standing } from './fire-reader.js';

/**
 * A reader that looks at the file again and again while others write it, and holds it to what was promised:
 * it is whole, it says at least what was acknowledged before, and nothing in it goes back.
 */
export class Watch {
  readonly violations: string[] = [];
  looks = 0;
  readonly #crew: Crew;
  readonly #seen = new Map<string, Standing>();
  #stopped = false;
  #running: Promise<void>;

  constructor(crew: Crew) {
    this.#crew = crew;
    this.#running = this.#run();
  }

  /** Looks a last time, with `verify()` too, and throws what was found wrong since the beginning. */
  async finish(): Promise<void> {
    this.#stopped = true;
    await this.#running;
    this.look();
    await using store = new FileOffsetStore(this.#crew.path);
    const { status, problems } = await store.verify();
    if (status !== 'ok') this.violations.push(`verify() says ${status}: ${problems.join('; ')}`);
    this.violations.push(...this.#crew.journal.violations);
    if (this.violations.length > 0) {
      throw new Error(`${this.violations.length} violations:\n${this.violations.slice(0, 10).join('\n')}`);
    }
  }

  /** Looks once. */
  look(): void {
    const { journal, path } = this.#crew;
    // First what was acknowledged, then the file: it may say more, never less.
    journal.update();
    const acknowledged = new Map(journal.acknowledged);
    let standings: Map<string, Standing>;
    try {
      standings = readStandingsAt(path);
    } catch (error) {
      this.violations.push(`The file is not whole: ${String(error)}`);
      return;
    }
    this.looks += 1;
    for (const [source, value] of acknowledged) {
      const found = standings.get(source)?.value;
      if (found === undefined || found < value) {
        this.violations.push(`${source} was acknowledged at ${value}, and the file says ${found}`);
      }
    }
    for (const [source, before] of this.#seen) {
      const after = standings.get(source);
      if (after === undefined || (after.value ?? 0n) < (before.value ?? 0n) || after.epoch < before.epoch) {
        this.violations.push(`${source} went back from ${before.value} to ${after?.value}`);
      }
    }
    for (const [source, standing] of standings) this.#seen.set(source, standing);
  }

  async #run(): Promise<void> {
    while (!this.#stopped && this.violations.length < 10) {
      this.look();
      await setTimeout(5);
    }
  }
}
