/** What to subscribe to, and what to measure. */
import { subscribe } from 'node:diagnostics_channel';
import { metrics } from '@opentelemetry/api';
import { InMemoryOffsetStore, OffsetTracker } from 'streamweave-offset';
import { observeTracker } from 'streamweave-offset/otel';

// #region subscribe
subscribe('streamweave-offset:commit-error', (message) => {
  const { source, error } = message as { source: string; error: Error };
  console.error(`offset of ${source} not committed:`, error);
});
// #endregion

const tracker = new OffsetTracker(new InMemoryOffsetStore());
const newestOrderId = async (): Promise<number> => 10;

// #region otel
const meter = metrics.getMeter('shop');
const stop = observeTracker(tracker, { meter, attributes: { 'shop.pipeline': 'orders' } });
// #endregion

// #region lag
meter.createObservableGauge('shop.orders.lag', { unit: '{position}' }).addCallback(async (result) => {
  const { positions } = await tracker.lag('orders', await newestOrderId());
  if (positions !== undefined) result.observe(Number(positions));
});
// #endregion

await tracker.record('orders', 8);
console.log('behind by', (await tracker.lag('orders', await newestOrderId())).positions);
await tracker.close();
stop();

/* Prints:
behind by 2n
*/
