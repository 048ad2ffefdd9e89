/** The strategies, as a tracker is given them. */
import { CommitStrategy, InMemoryOffsetStore, OffsetTracker } from 'streamweave-offset';

const store = new InMemoryOffsetStore();

// #region periodic
// Every 500 items of a source, and at the latest a second after the first that is not committed.
const busy = new OffsetTracker(store, { strategy: CommitStrategy.periodic(500, { maxDelayMs: 1_000 }) });
// #endregion

// #region interval
// A quarter of a second after the first item that is not committed, however many there are.
const timed = new OffsetTracker(store, { strategy: CommitStrategy.interval(250) });
// #endregion

// #region eager
// As soon as the last commit is done: as often as the store can, without making the stream wait.
const fast = new OffsetTracker(store, { strategy: CommitStrategy.eager });
// #endregion

// #region manual
// When you say so: here once for each file, whose lines have to be done all together.
const tracker = new OffsetTracker(store, { strategy: CommitStrategy.manual });
for (const file of ['a.csv', 'b.csv']) {
  for (const line of [1, 2, 3]) await tracker.record(file, line);
  await tracker.commit(file);
}
// #endregion

for (const each of [busy, timed, fast, tracker]) await each.close();
console.log(await store.getAll());

/* Prints:
Map(2) {
  'a.csv' => { kind: 'sequence', value: 3n },
  'b.csv' => { kind: 'sequence', value: 3n }
}
*/
