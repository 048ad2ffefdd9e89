/** What a process does to a store that others use too, and writes down for the history's checker. */
import { setTimeout } from 'node:timers/promises';
import { OffsetError } from '../../lib/errors.js';
import { Offset } from '../../lib/offset.js';
import type { OffsetStore } from '../../lib/offset-store.js';
import type { Random } from './fire-random.js';
import type { Operation } from './register-history.js';

/** What one client does. */
export interface RegisterJob {
  /** The client's name. */
  readonly process: string;
  readonly sources: readonly string[];
  readonly operations: number;
  /** Whether it claims sources now and then, and commits under the epoch that it claimed last. */
  readonly claims: boolean;
  /** How many clients there are, where each waits for all of them before it begins. */
  readonly clients?: number;
}

/** Commits, reads and claims as it comes; each commit goes a little beyond what was seen last, or stays behind it. */
export async function useRegister(
  store: OffsetStore,
  job: RegisterJob,
  random: Random,
  note: (operation: Operation) => void,
): Promise<void> {
  if (job.clients !== undefined) await meet(store, job.process, job.clients);
  const seen = new Map<string, bigint>();
  const epochs = new Map<string, number>();
  for (let count = 0; count < job.operations; count += 1) {
    const source = random.pick(job.sources);
    const known = seen.get(source) ?? -1n;
    const dice = random.below(10);
    if (job.claims && (dice === 0 || !epochs.has(source))) {
      const epoch = await noted(job, source, 'claim', 0n, undefined, note, async () =>
        BigInt((await store.claim?.(source)) ?? 0),
      );
      if (epoch !== undefined) epochs.set(source, Number(epoch));
    } else if (dice < 4) {
      const value = await noted(job, source, 'get', -1n, undefined, note, async () => {
        const offset = await store.get(source);
        return offset?.kind === 'sequence' ? offset.value : -1n;
      });
      if (value !== undefined) seen.set(source, value);
    } else {
      const value = known + BigInt(random.below(4));
      const offset = value < 0n ? 0n : value;
      const epoch = epochs.get(source);
      const done = await noted(job, source, 'commit', offset, epoch, note, async () => {
        await store.commit(source, Offset.sequence(offset), { epoch });
        return offset;
      });
      if (done !== undefined) seen.set(source, done);
    }
  }
}

/** Waits for the others, through the store that they share. */
async function meet(store: OffsetStore, name: string, clients: number): Promise<void> {
  const here = 'here: ';
  await store.commit(`${here}${name}`, Offset.sequence(0n));
  const present = async (): Promise<number> =>
    [...(await store.getAll()).keys()].filter((source) => source.startsWith(here)).length;
  while ((await present()) < clients) await setTimeout(5);
}

async function noted(
  job: RegisterJob,
  source: string,
  call: Operation['call'],
  asked: bigint,
  epoch: number | undefined,
  note: (operation: Operation) => void,
  ask: () => Promise<bigint>,
): Promise<bigint | undefined> {
  const start = process.hrtime.bigint();
  const written = { process: job.process, source, call, epoch, start };
  try {
    const value = await ask();
    note({ ...written, value, outcome: 'ok', end: process.hrtime.bigint() });
    return value;
  } catch (error) {
    note({ ...written, value: asked, outcome: outcomeOf(error), end: process.hrtime.bigint() });
    return undefined;
  }
}

function outcomeOf(error: unknown): Operation['outcome'] {
  switch (error instanceof OffsetError ? error.code : undefined) {
    case 'OFFSET_BEHIND':
      return 'behind';
    case 'OFFSET_FENCED':
      return 'fenced';
    case 'OFFSET_IO':
      return 'failed';
    case 'OFFSET_DURABILITY_UNKNOWN':
      return 'unknown';
    default:
      throw error;
  }
}
