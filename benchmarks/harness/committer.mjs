/** A process that commits to a shared file for as long as it is told: `committer.mjs <package> <file> <source>`. */
const [, , name, file, source] = process.argv;
const { FileOffsetStore } = await import(name);
const store = new FileOffsetStore(file);
let commits = 0;
await store.commit(source, commits);
process.send('ready');
process.once('message', async (ms) => {
  const until = performance.now() + ms;
  const before = commits;
  while (performance.now() < until) await store.commit(source, ++commits);
  await store.close();
  process.send(commits - before);
  process.disconnect();
});
