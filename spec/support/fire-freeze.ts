import { setTimeout } from 'node:timers/promises';
import { type Crew, until } from './fire-crew.js';
import type { CommitJob } from './fire-job.js';
import { Watch } from './fire-watch.js';

const PATIENCE_MS = 20_000;

export interface Freeze {
  readonly ambush: NonNullable<CommitJob['ambush']>;
  /** How long the process is stopped at least, in milliseconds; meaningless where it blocks itself. */
  readonly stoppedMs: number;
}

/**
 * Two processes commit to one file; one of them stands still in the middle of a round, with the lock in its
 * hands, for longer than a lock is held to be alive; then it goes on. Throws where that undid or lost anything,
 * where the other could not go on meanwhile, or where the one could not afterwards.
 */
export async function freeze(crew: Crew, { ambush, stoppedMs }: Freeze): Promise<void> {
  const { journal } = crew;
  const watch = new Watch(crew);
  try {
    const other = crew.commit('other', { shared: true, pauseMs: 10 });
    const victim = crew.commit('victim', { shared: true, pauseMs: 10, ambush });
    const halted = await until('the process to stand still', PATIENCE_MS, () => {
      journal.update();
      return journal.halted.get(victim.name);
    });
    if (ambush.how === 'stop') {
      await setTimeout(stoppedMs);
      await other.acknowledgedAfter(halted + BigInt(stoppedMs) * 1_000_000n, PATIENCE_MS);
      victim.kill('SIGCONT');
    }
    const resumed = await until('the process to go on', PATIENCE_MS, () => {
      journal.update();
      return journal.resumed.get(victim.name);
    });
    await victim.acknowledgedAfter(resumed, PATIENCE_MS);
    await other.acknowledgedAfter(resumed, PATIENCE_MS);
    // And some rounds more, with both in them again.
    await setTimeout(200);
    if (journal.errors.length > 0) throw new Error(`Processes failed:\n${journal.errors.join('\n')}`);
    if (journal.between(other.name, halted, resumed) === 0)
      throw new Error('The other process did not commit while the one stood still');
  } finally {
    await crew.dismiss();
    await watch.finish();
  }
}
