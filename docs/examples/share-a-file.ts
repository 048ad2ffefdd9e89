/** Two processes, one file of offsets: each works on sources of its own. */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { FileOffsetStore, Offset, OffsetTracker } from 'streamweave-offset';

const source = process.argv[2];

if (source === undefined) {
  // The first process starts the two that work.
  const workers = ['orders/0', 'orders/1'].map((name) => fork(fileURLToPath(import.meta.url), [name]));
  await Promise.all(workers.map((worker) => once(worker, 'exit')));

  await using store = new FileOffsetStore('offsets.json');
  const all = await store.getAll();
  for (const name of [...all.keys()].toSorted()) console.log(name, Offset.format(all.get(name)!));
} else {
  // #region worker
  await using store = new FileOffsetStore('offsets.json');
  await using tracker = new OffsetTracker(store);
  for (let id = 1; id <= 20; id++) await tracker.record(source, id);
  // #endregion
}

/* Prints:
orders/0 seq:20
orders/1 seq:20
*/
