/** What comes again after a crash, by the strategy: seven of ten items are done when the process dies. */
import { CommitStrategy, InMemoryOffsetStore, OffsetTracker } from 'streamweave-offset';

const strategies: Record<string, CommitStrategy> = {
  auto: CommitStrategy.auto,
  'periodic(3)': CommitStrategy.periodic(3),
  'interval(60_000)': CommitStrategy.interval(60_000),
  manual: CommitStrategy.manual,
};

async function run(store: InMemoryOffsetStore, strategy: CommitStrategy, crashAfter: number): Promise<void> {
  const tracker = new OffsetTracker(store, { strategy });
  const start = await tracker.getOffset('items');
  for (let id = start.kind === 'sequence' ? Number(start.value) + 1 : 1; id <= 10; id++) {
    handled.push(id);
    await tracker.record('items', id);
    if (id === crashAfter) return; // the crash: nothing is closed, nothing more is committed
    if (id % 5 === 0 && tracker.strategy.kind === 'manual') await tracker.commit('items');
  }
  await tracker.close();
}

const handled: number[] = [];
for (const [name, strategy] of Object.entries(strategies)) {
  handled.length = 0;
  const store = new InMemoryOffsetStore();
  await run(store, strategy, 7);
  await run(store, strategy, Infinity);
  const again = handled.filter((id, index) => handled.indexOf(id) !== index);
  console.log(`${name}: again after the crash:`, again.join(' ') || 'nothing');
}

/* Prints:
auto: again after the crash: nothing
periodic(3): again after the crash: 7
interval(60_000): again after the crash: 1 2 3 4 5 6 7
manual: again after the crash: 6 7
*/
