/** A process that leaves a pending record behind, with the strategy that its argument names. */
import { CommitStrategy, InMemoryOffsetStore, OffsetTracker } from '../../lib/index.js';

const strategies: Record<string, CommitStrategy> = {
  interval: CommitStrategy.interval(600_000),
  periodic: CommitStrategy.periodic(10, { maxDelayMs: 600_000 }),
};
const tracker = new OffsetTracker(new InMemoryOffsetStore(), { strategy: strategies[process.argv[2] ?? ''] });
await tracker.record('a', 1);
process.stdout.write(`pending ${tracker.stats('a').pending}`);
