import { inspect } from 'node:util';
import { CommitStrategy } from '../../lib/commit-strategy.js';
import { OffsetIoError } from '../../lib/errors.js';
import {
  boom,
  COUNT,
  drive,
  HangError,
  isClean,
  type Instant,
  type Plan,
  Run,
  STORE_MS,
  withTimers,
  WORK_MS,
  World,
} from './endings-world.js';
import { until } from './stream-helpers.js';
import type { Form } from './endings-forms.js';

/** How a run ends, by name. */
interface Ending {
  readonly name: string;
  readonly plan: Plan;
  /** What the caller sees: an error or the fields of one, or undefined for none. */
  readonly sees: unknown;
  readonly exists: (form: Form) => boolean;
}

const any = (): boolean => true;
const INSTANTS: readonly Instant[] = ['working', 'committing', 'idle'];

function acted(
  what: NonNullable<Plan['act']>['what'],
  sees: unknown,
  exists: (form: Form) => boolean = any,
): Ending[] {
  return INSTANTS.map((at) => ({
    name: `${what} while ${at}`,
    plan: { source: at === 'idle' ? 'idles' : 'ends', act: { at, what } },
    sees,
    exists,
  }));
}

const ENDINGS: readonly Ending[] = [
  { name: 'a clean end', plan: { source: 'ends' }, sees: undefined, exists: any },
  { name: 'an upstream error', plan: { source: 'fails' }, sees: boom, exists: any },
  {
    name: 'a downstream error',
    plan: { source: 'ends', sinkFails: true },
    sees: boom,
    exists: ({ can }) => can.has('sink'),
  },
  { name: 'a throw in the work', plan: { source: 'ends', workFails: true }, sees: boom, exists: any },
  {
    name: 'break',
    plan: { source: 'ends', leaves: 'break' },
    sees: undefined,
    exists: ({ can }) => can.has('break'),
  },
  {
    name: 'take(n)',
    plan: { source: 'ends', leaves: 'take' },
    sees: undefined,
    exists: ({ can }) => can.has('take'),
  },
  {
    name: 'take(n) of the source',
    plan: { source: 'ends', leaves: 'take-source' },
    sees: undefined,
    exists: any,
  },
  ...acted('abort', boom),
  ...acted('abort pipeline', { name: 'AbortError', cause: boom }, ({ can }) => can.has('pipeline')),
  ...acted('destroy(error)', boom),
  ...acted('destroy()', undefined),
];

/** The time that each strategy leaves before a commit covers what was recorded, where time is what it goes by. */
const INTERVAL_MS = 25;

/** How many items are recorded and not committed at most, at any instant; a row of the table of promises each. */
interface Bounded {
  readonly name: string;
  readonly strategy: CommitStrategy;
  readonly recorded: (form: Form, commitMs: number) => number;
}

/** How many items a form does in that time at most. */
const during = (ms: number, { concurrency }: Form): number => Math.ceil(ms / WORK_MS) * concurrency;

export const BOUNDED: readonly Bounded[] = [
  { name: 'auto', strategy: CommitStrategy.auto, recorded: () => 1 },
  {
    name: 'periodic(3)',
    strategy: CommitStrategy.periodic(3),
    recorded: () => 3,
  },
  {
    name: 'periodic(3, { maxDelayMs })',
    strategy: CommitStrategy.periodic(3, { maxDelayMs: 15 }),
    recorded: () => 5,
  },
  {
    name: 'interval',
    strategy: CommitStrategy.interval(INTERVAL_MS),
    recorded: (form, commitMs) => during(INTERVAL_MS + 2 * commitMs, form),
  },
  { name: 'eager', strategy: CommitStrategy.eager, recorded: (form, commitMs) => during(2 * commitMs, form) },
  { name: 'manual', strategy: CommitStrategy.manual, recorded: () => Infinity },
];

export interface Cell {
  readonly form: Form;
  readonly ending: Ending;
  readonly bounded: Bounded;
  /** The store answers nothing any more from the instant at which the run is told to end. */
  readonly hangs: boolean;
  /** How long a commit takes: as long as one item's work, or far longer. */
  readonly commitMs: number;
}

/** How many items are done and not committed, at any instant, at most. */
function boundOf({ form, bounded, commitMs }: Cell): number {
  return (form.oneByOne === true ? 0 : form.inHand) + bounded.recorded(form, commitMs);
}

/** Every combination that there is. */
export function cellsOf(forms: readonly Form[]): Cell[] {
  const cells: Cell[] = [];
  for (const form of forms) {
    for (const ending of ENDINGS.filter((each) => each.exists(form))) {
      for (const bounded of BOUNDED) {
        // Nothing is committed that it could end in the middle of.
        if (ending.plan.act?.at === 'committing' && bounded.name === 'manual') continue;
        cells.push({ form, ending, bounded, hangs: false, commitMs: 35 });
        cells.push({ form, ending, bounded, hangs: true, commitMs: 10 });
      }
    }
  }
  return cells;
}

/** What came of a cell. */
export interface Outcome {
  /** What was not as promised. */
  readonly violations: readonly string[];
  /** The most items that were done and not committed, at any instant while the store answered. */
  readonly worst: number;
  /** How many items the restart did again. */
  readonly repeated: number;
}

/** Runs a cell, and a restart after it. */
export async function outcomeOf(cell: Cell): Promise<Outcome> {
  const { form, ending, bounded, hangs, commitMs } = cell;
  const world = new World(bounded.strategy, commitMs);
  const { clock, store, history } = world;
  const { violations } = history;
  let worst = 0;
  let repeated = 0;
  const manual = bounded.name === 'manual';
  try {
    await withTimers(clock, async () => {
      const run = new Run(world, ending.plan, 0, hangs);
      const { seen, hung } = await endOf(run, form);
      if (hung) {
        violations.push('hangs');
        return;
      }
      const clean = isClean(ending.plan);
      const refused = hangs && form.pulls === true && awaitsStore(bounded) && seen instanceof OffsetIoError;
      const deadline = form.abruptEndMs + (clean || refused ? STORE_MS : 0);
      const took = clock.now() - (run.toldAt ?? clock.now());
      // What was in hand is worked on to its end.
      await drive(
        clock,
        until(() => run.working === 0),
      );
      // What is in hand may be worked on to its end, and before a clean end all that the source gave.
      const workMs = clean ? WORK_MS * COUNT : 4 * WORK_MS;
      if (took > deadline + workMs) violations.push(`ended after ${took} ms`);
      violations.push(...seenAmiss(seen, form, ending, hangs && (clean || refused)), ...run.leaks());

      worst = hangs ? run.worstBefore : history.worst;
      if (worst > boundOf(cell)) {
        violations.push(`${worst} items would have been repeated after a crash`);
      }
      if (!manual && !hangs) {
        const left = history.uncommitted;
        if (left > (clean ? 0 : form.inHand)) violations.push(`${left} items are repeated`);
      }

      // Whoever goes on, or leaves, closes the tracker; then no timer is left.
      store.answer();
      await drive(clock, run.tracker.close()).catch((error: unknown) =>
        violations.push(`close: ${String(error)}`),
      );
      if (clock.timers.length > 0) violations.push(`leak: ${clock.timers.length} timers`);
      repeated = history.uncommitted;
      await restart(world, form, manual);
    });
  } finally {
    await settled();
  }
  return { violations, worst, repeated };
}

async function endOf(run: Run, form: Form): Promise<{ seen?: unknown; hung: boolean }> {
  try {
    await drive(run.world.clock, form.run(run));
    return { hung: false };
  } catch (seen) {
    return { seen, hung: seen instanceof HangError };
  }
}

/** What is wrong with what the caller saw. */
function seenAmiss(seen: unknown, form: Form, { plan, sees }: Ending, late: boolean): string[] {
  const what = plan.act?.what;
  const expected =
    (what === 'abort' || what === 'destroy()') && form.sees !== undefined && what in form.sees
      ? form.sees[what]
      : sees;
  // A clean end waits for its commits, and must not pass for one where they failed.
  const ownClose = form.closesTracker === true && expected === undefined;
  if (late || (ownClose && seen !== undefined)) {
    return seen === undefined || (seen instanceof OffsetIoError && seen.code === 'OFFSET_DURABILITY_UNKNOWN')
      ? []
      : [`saw ${inspect(seen, { depth: 0 })}`];
  }
  const same =
    expected === undefined || expected instanceof Error
      ? seen === expected
      : // Node's own errors are of another realm than those of a spec.
        typeof seen === 'object' &&
        seen !== null &&
        Object.entries(expected as object).every(
          ([key, value]) => (seen as unknown as Record<string, unknown>)[key] === value,
        );
  return same ? [] : [`saw ${inspect(seen, { depth: 0 })}`];
}

/** Goes on after the committed offset, to a clean end. */
async function restart(world: World, form: Form, manual: boolean): Promise<void> {
  const { clock, history } = world;
  const { violations } = history;
  const from = (await world.committed()) + 1;
  if (from !== history.committed + 1) violations.push('the store lost a commit');
  const run = new Run(world, { source: 'ends' }, from, false);
  const again = async (): Promise<void> => {
    if (manual) run.beforeClose = () => run.tracker.commitAll();
    await form.run(run);
    if (form.closesTracker !== true) await run.beforeClose();
    await run.tracker.close();
  };
  try {
    await drive(clock, again());
  } catch (error) {
    violations.push(`restart: ${String(error)}`);
  }
  if (history.missing.length > 0) violations.push(`skipped: never done ${history.missing.join(', ')}`);
  if ((await world.committed()) !== COUNT - 1) violations.push(`the restart did not commit its end`);
  if (history.times.slice(0, from).some((times) => times > 1))
    violations.push('did again what was committed');
}

/** Whether a record waits for the store. */
function awaitsStore({ strategy }: Bounded): boolean {
  return strategy.kind === 'auto' || strategy.kind === 'periodic';
}

async function settled(): Promise<void> {
  for (let n = 0; n < 3; n++) await new Promise((resolve) => setImmediate(resolve));
}
