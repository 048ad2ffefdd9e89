/** Where a source starts when nothing is stored for it. */
import { InMemoryOffsetStore, OffsetTracker, SourceNotFoundError } from 'streamweave-offset';

const store = new InMemoryOffsetStore();

const fromTheStart = new OffsetTracker(store); // resetPolicy: 'earliest' is the default
console.log(await fromTheStart.getOffset('orders'));

const onlyNewItems = new OffsetTracker(store, { resetPolicy: 'latest' });
console.log(await onlyNewItems.getOffset('orders'));

const mustBeKnown = new OffsetTracker(store, { resetPolicy: 'none' });
try {
  await mustBeKnown.getOffset('orders');
} catch (error) {
  console.log(error instanceof SourceNotFoundError && error.code);
}

/* Prints:
{ kind: 'earliest' }
{ kind: 'latest' }
OFFSET_SOURCE_NOT_FOUND
*/
