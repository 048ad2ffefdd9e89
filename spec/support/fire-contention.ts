import { type Crew, until } from './fire-crew.js';
import { ownSources, SHARED_SOURCE } from './fire-job.js';
import { readStandingsAt } from './fire-reader.js';
import { Watch } from './fire-watch.js';

export interface Contention {
  readonly lock: 'real' | 'none';
  readonly processes: number;
  /** Of each process. */
  readonly commits: number;
  readonly timeoutMs: number;
}

/** Processes that all commit to one file as fast as they can, each so many times. Throws where a promise broke. */
export async function contend(
  crew: Crew,
  { lock, processes, commits, timeoutMs }: Contention,
): Promise<Watch> {
  const watch = new Watch(crew);
  const names = Array.from({ length: processes }, (_, index) => `p${index}`);
  try {
    const workers = names.map((name) => crew.commit(name, { lock, commits, shared: true }));
    await until('the processes to end', timeoutMs, () =>
      workers.some(({ running }) => running) ? undefined : true,
    );
  } finally {
    await watch.finish();
  }
  const { errors, done } = crew.journal;
  if (errors.length > 0) throw new Error(`Processes failed:\n${errors.join('\n')}`);
  if (done.size !== processes) throw new Error(`Expected ${processes} processes to finish, got ${done.size}`);
  const standings = readStandingsAt(crew.path);
  for (const name of names) {
    for (const source of ownSources(name, 1)) {
      const value = standings.get(source)?.value;
      if (value !== BigInt(commits)) throw new Error(`Expected ${source} at ${commits}, got ${value}`);
    }
  }
  if (standings.size !== processes + 1 || standings.get(SHARED_SOURCE) === undefined) {
    throw new Error(`Expected ${processes + 1} sources, got ${standings.size}`);
  }
  return watch;
}
