import { type Crew, until } from './fire-crew.js';
import { Watch } from './fire-watch.js';

export interface Shares {
  /** Acknowledged commits of each process. */
  readonly commits: readonly number[];
  /** Those of the best process by those of the worst. */
  readonly ratio: number;
}

/**
 * Processes that all commit all of their sources at once, again and again, and what each of them got done by
 * the time that all together had done so much. By commits and not by time: on a busy machine, few are chance.
 *
 * @param commits - for each source, on average
 */
export async function share(
  crew: Crew,
  processes: number,
  sources: number,
  commits: number,
): Promise<Shares> {
  const { journal } = crew;
  const watch = new Watch(crew);
  try {
    const names = Array.from({ length: processes }, (_, index) => `p${index}`);
    for (const name of names) crew.commit(name, { own: sources });
    await until('all processes to have begun', 30_000, () => {
      journal.update();
      return names.every((name) => journal.lastAcknowledged.has(name)) ? true : undefined;
    });
    const start = process.hrtime.bigint();
    const enough = journal.total + processes * sources * commits;
    const end = await until('enough commits', 600_000, () => {
      journal.update();
      return journal.total >= enough ? process.hrtime.bigint() : undefined;
    });
    const done = names.map((name) => journal.between(name, start, end));
    if (journal.errors.length > 0) throw new Error(`Processes failed:\n${journal.errors.join('\n')}`);
    return { commits: done, ratio: Math.max(...done) / Math.min(...done) };
  } finally {
    await crew.dismiss();
    await watch.finish();
  }
}
