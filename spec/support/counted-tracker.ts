import { OffsetTracker } from '../../lib/tracker/offset-tracker.js';

/** A tracker whose listeners can be counted. */
export class CountedTracker extends OffsetTracker {
  listeners = 0;

  override onCommit(listener: Parameters<OffsetTracker['onCommit']>[0]): () => void {
    this.listeners++;
    const end = super.onCommit(listener);
    return () => {
      this.listeners--;
      end();
    };
  }
}
