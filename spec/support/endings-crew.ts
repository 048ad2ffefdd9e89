import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { FileOffsetStore } from '../../lib/stores/file/file-store.js';
import { BOUNDED } from './endings-cells.js';
import type { Form } from './endings-forms.js';
import { filesOf, folderOf, type Logged, ProcessRun, readLog, STRATEGIES } from './endings-process.js';
import { Random } from './fire-random.js';
import { idOf, SOURCE } from './endings-world.js';

export type Signal = 'SIGTERM' | 'SIGKILL';

/** What was not as promised, by form, signal and strategy, and `'restart'` for the run to a clean end after all of them. */
export type Violations = ReadonlyMap<string, readonly string[]>;

export const cellName = (form: Form, ending: Signal | 'restart', strategy: string): string =>
  `${form.name}: ${ending}, ${strategy}`;

/** Processes that are ended one after the other, each of which runs these forms; what they leave is in a folder. */
export class Crew {
  readonly #folder = mkdtempSync(join(tmpdir(), 'streamweave-offset-endings-'));
  readonly #violations = new Map<string, string[]>();
  #child: ChildProcess | undefined;

  constructor(
    readonly forms: readonly Form[],
    /** When a process is ended. */
    readonly random: Random,
  ) {}

  async run(signals: readonly Signal[]): Promise<Violations> {
    try {
      for (const signal of signals) {
        const ended = await this.#runUntil(signal);
        for (const [form, strategy] of this.#cells()) await this.#check(signal, form, strategy, ended);
      }
      await Promise.all(this.#cells().map(([form, strategy]) => this.#restart(form, strategy)));
      return this.#violations;
    } finally {
      this.#child?.kill('SIGKILL');
      rmSync(this.#folder, { recursive: true, force: true });
    }
  }

  #cells(): Array<readonly [Form, string]> {
    return this.forms.flatMap((form) => STRATEGIES.map(([strategy]) => [form, strategy] as const));
  }

  #folderOf(form: Form): string {
    return folderOf(this.#folder, form);
  }

  /** Ends a process by a signal while it works; tells how it ended. */
  async #runUntil(signal: Signal): Promise<string> {
    const names = this.forms.map(({ name }) => name);
    const child = spawn(
      process.execPath,
      ['--import', 'tsx', 'spec/support/endings-worker.ts', this.#folder, ...names],
      { stdio: ['ignore', 'ignore', 'inherit'] },
    );
    this.#child = child;
    const exit = once(child, 'exit') as Promise<[number | null, NodeJS.Signals | null]>;
    const sizes = (): number[] =>
      this.#cells().map(([form, strategy]) => sizeOf(filesOf(this.#folderOf(form), strategy).log));
    const before = sizes();
    // So many bytes of log at least from each; they are some tens of items.
    const more = 200 + this.random.below(400);
    while (child.exitCode === null && sizes().some((size, at) => size < before[at]! + more)) await sleep(5);
    child.kill(signal);
    const [code, by] = await exit;
    this.#child = undefined;
    return by ?? `code ${code}`;
  }

  async #check(signal: Signal, form: Form, strategy: string, ended: string): Promise<void> {
    const violations = this.#of(signal, form, strategy);
    const expected = signal === 'SIGKILL' ? 'SIGKILL' : 'code 0';
    if (ended !== expected) violations.push(`ended by ${ended}`);
    const log = readLog(this.#folderOf(form), strategy);
    const committed = await this.#committed(form, strategy);
    if (log.done.length === 0) violations.push('did nothing');
    if (committed < log.landed) violations.push(`an acknowledged commit of item ${log.landed} is not stored`);
    violations.push(...skipped(log, committed));
    const repeats = log.done.filter((id) => id > committed).length;
    const bound = signal === 'SIGTERM' ? form.inHand : boundOf(form, strategy, log);
    if (strategy !== 'manual' && repeats > bound)
      violations.push(`repeats ${repeats} items, not ${bound} at most`);
    if (signal === 'SIGTERM' && log.saw !== 'the reason') violations.push(`saw ${log.saw}`);
  }

  /** Goes on after what is committed, in this process, to a clean end. */
  async #restart(form: Form, strategy: string): Promise<void> {
    const violations = this.#of('restart', form, strategy);
    const count = Math.max(-1, ...readLog(this.#folderOf(form), strategy).ever) + 6;
    const run = await ProcessRun.begin(this.#folderOf(form), strategy, new AbortController(), count);
    if (strategy === 'manual') run.beforeClose = () => run.tracker.commitAll();
    await form.run(run);
    if (!form.closesTracker) await run.beforeClose();
    await run.tracker.close();
    const committed = await this.#committed(form, strategy);
    if (committed !== count - 1) violations.push(`ended at item ${committed} of ${count}`);
    violations.push(...skipped(readLog(this.#folderOf(form), strategy), committed));
  }

  async #committed(form: Form, strategy: string): Promise<number> {
    return idOf(await new FileOffsetStore(filesOf(this.#folderOf(form), strategy).offsets).get(SOURCE));
  }

  #of(signal: Signal | 'restart', form: Form, strategy: string): string[] {
    const name = cellName(form, signal, strategy);
    const violations = this.#violations.get(name) ?? [];
    this.#violations.set(name, violations);
    return violations;
  }
}

function skipped({ ever }: Logged, committed: number): string[] {
  for (let id = 0; id <= committed; id++) {
    if (!ever.has(id)) return [`skipped: item ${id} is not done, and ${committed} is committed`];
  }
  return [];
}

function sizeOf(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0;
}

/** How many items a kill may cost, at most. */
function boundOf(form: Form, strategy: string, { doneSince }: Logged): number {
  const inHand = form.oneByOne === true ? 0 : form.inHand;
  // By time: those since the commit before the one in flight began, and those that were not recorded by then.
  if (strategy === 'interval' || strategy === 'eager') return doneSince + form.inHand;
  return inHand + BOUNDED.find(({ name }) => name === strategy)!.recorded(form, 0);
}
