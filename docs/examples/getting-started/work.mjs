import { FileOffsetStore, OffsetTracker, readLines } from 'streamweave-offset';

const crashAt = Number(process.argv[2]);

const store = new FileOffsetStore('offsets.json');
const tracker = new OffsetTracker(store);

const after = await tracker.getCheckpoint('events');
for await (const { line, offset, metadata } of readLines('events.jsonl', { after })) {
  const event = JSON.parse(line);
  if (event.id === crashAt) process.kill(process.pid, 'SIGKILL');
  console.log('handled', event.what); // your work …
  await tracker.record('events', offset, { metadata }); // … is done
}

await tracker.close();
await store.close();
