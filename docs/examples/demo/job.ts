/** What a worker is told to do; it goes to the child process as JSON. */
export interface Job {
  /** The JSONL file to read. */
  readonly input: string;
  /** The file that each item adds a line to. */
  readonly output: string;
  /** The store's URL, and the name of the source in it. */
  readonly store: string;
  readonly source: string;
  readonly strategy: string;
  /** A rest of `ms` milliseconds after every `everyItems` items, so that a small file leaves time for kills. */
  readonly rest: { readonly everyItems: number; readonly ms: number } | undefined;
}

/** What a worker tells its parent: how many commits have landed in its life. */
export interface Report {
  readonly commits: number;
}

/**
 * For the worker: the job that it was started with. It ends when the parent does, so that no worker is left behind.
 */
export function receiveJob(): Job {
  return receive() as Job;
}

/** The same of any kind of job. */
export function receive(): unknown {
  process.once('disconnect', () => process.exit(1));
  // The channel alone must not keep a worker alive whose work is done.
  process.channel?.unref();
  return JSON.parse(process.argv[2]!);
}

let commits = 0;

/** For the worker: tells the parent that one more commit has landed. */
export function reportCommit(): void {
  commits++;
  const report: Report = { commits };
  process.send?.(report);
}
