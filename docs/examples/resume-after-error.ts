/** After an error the next try begins anew: with a new tracker, which asks the store where to go on. */
import { setTimeout as pause } from 'node:timers/promises';
import { InMemoryOffsetStore, OffsetTracker } from 'streamweave-offset';

const store = new InMemoryOffsetStore();
let outages = 1;

async function work(id: number): Promise<void> {
  if (id === 3 && outages-- > 0) throw new Error('the mail server is away');
  console.log('sent', id);
}

// #region tries
for (let delayMs = 1; ; delayMs = Math.min(delayMs * 2, 30_000)) {
  const tracker = new OffsetTracker(store);
  try {
    const start = await tracker.getOffset('mails');
    for (let id = start.kind === 'sequence' ? Number(start.value) + 1 : 1; id <= 4; id++) {
      await work(id);
      await tracker.record('mails', id);
    }
    break;
  } catch (error) {
    console.log('trying again:', (error as Error).message);
    await pause(delayMs);
  } finally {
    await tracker.close();
  }
}
// #endregion

/* Prints:
sent 1
sent 2
trying again: the mail server is away
sent 3
sent 4
*/
