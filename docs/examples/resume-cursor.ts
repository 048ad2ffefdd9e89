/** A paged API: the position is a cursor that only the API understands, and stands for the pages before it. */
import { InMemoryOffsetStore, OffsetTracker } from 'streamweave-offset';

interface Page {
  readonly mails: readonly string[];
  /** What to ask the next page with; undefined on the last page. */
  readonly next: string | undefined;
}

const pages = new Map<string | undefined, Page>([
  [undefined, { mails: ['hello', 'offer'], next: 'c-91f2' }],
  ['c-91f2', { mails: ['invoice', 'reminder'], next: 'c-0a77' }],
  ['c-0a77', { mails: ['goodbye'], next: undefined }],
]);

/** Stands for a request. */
async function getPage(cursor: string | undefined): Promise<Page> {
  return pages.get(cursor)!;
}

const store = new InMemoryOffsetStore();

async function run(crashAt?: string): Promise<void> {
  // #region run
  await using tracker = new OffsetTracker(store);
  const done = await tracker.getOffset('mailbox');
  let cursor = done.kind === 'custom' ? done.value : undefined;
  do {
    const page = await getPage(cursor);
    for (const mail of page.mails) {
      if (mail === crashAt) throw new Error(`crash at ${mail}`);
      console.log('handled', mail);
    }
    cursor = page.next;
    // The whole page is done: the next run begins with the page that this cursor leads to.
    if (cursor !== undefined) await tracker.record('mailbox', cursor);
  } while (cursor !== undefined);
  // #endregion
}

await run('reminder').catch((error: Error) => console.log(error.message));
await run();

/* Prints:
handled hello
handled offer
handled invoice
crash at reminder
handled invoice
handled reminder
handled goodbye
*/
