import { copyFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { FileOffsetStore } from '../../lib/stores/file/file-store.js';
import { Crew, until } from './fire-crew.js';
import type { CommitJob } from './fire-job.js';
import type { Mounts } from './fire-mounts.js';
import type { Random } from './fire-random.js';
import { readStandingsAt } from './fire-reader.js';

/**
 * ext4 without what it does for programs that do not flush: no flush of a file that is renamed over another
 * (`noauto_da_alloc`), and no flush of the log by itself while the test runs (`commit`).
 */
const HARSH = ['noauto_da_alloc', 'commit=600'];

const PROCESSES = 2;

/** The longest time from the first commits to the cut. */
const MAX_DELAY_MS = 150;

export interface Loss {
  readonly acknowledged: number;
  /** What was acknowledged and is not there after the power came back, one sentence each. */
  readonly lost: readonly string[];
}

/**
 * Processes commit to a file on an ext4 of its own; at a random moment the power is cut; what the device has
 * by then is copied and mounted, and every acknowledged commit is looked for.
 *
 * Without the cut a copy would prove nothing: it takes time, and the device is written meanwhile.
 */
export async function losePower(
  mounts: Mounts,
  random: Random,
  sabotage?: CommitJob['sabotage'],
): Promise<Loss> {
  const image = await mounts.makeImage(8);
  const directory = await mounts.ext4(image, HARSH);
  const copy = `${image}.copy`;
  // In a directory that the first commit makes, so that its parents' flush is tried too.
  const place = join('state', 'offsets.json');
  await using crew = await Crew.gather(join(directory, place));
  try {
    for (let index = 0; index < PROCESSES; index++)
      crew.commit(`p${index}`, { own: 2, shared: true, sabotage });
    await until('a commit', 20_000, () => (crew.journal.update(), crew.journal.total > 0 ? true : undefined));
    await setTimeout(random.next() * MAX_DELAY_MS);
    await mounts.cutPower(directory);
    // Whatever is still acknowledged now counts too: the reports lie on another disk.
    await setTimeout(20);
  } finally {
    await crew.dismiss();
  }
  await copyFile(image, copy);
  await mounts.unmount(directory);
  const after = await mounts.ext4(copy);
  const lost: string[] = [];
  const path = join(after, place);
  await using store = new FileOffsetStore(path);
  const { status, problems } = await store.verify();
  const { acknowledged, violations, errors, total } = crew.journal;
  lost.push(...violations);
  for (const error of errors) {
    if (!/"code":"OFFSET_(?:IO|DURABILITY_UNKNOWN)"/.test(error)) lost.push(`An untyped error: ${error}`);
  }
  if (status === 'ok') {
    const standings = readStandingsAt(path);
    for (const [source, value] of acknowledged) {
      const found = standings.get(source)?.value;
      if (found === undefined || found < value)
        lost.push(`${source} was acknowledged at ${value}, found is ${found}`);
    }
  } else {
    lost.push(`verify() says ${status}: ${problems.join('; ')}`);
  }
  await store.close();
  await mounts.unmount(after);
  await Promise.all([rm(image), rm(copy)]);
  return { acknowledged: total, lost };
}
