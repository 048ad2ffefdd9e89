/**
 * `npm run bench [-- suite …] [-- --quick] [-- --save]`: runs suites, and writes benchmarks/results/<suite>.json.
 * A quick run is for a first impression: it only prints, unless it is told to save.
 */
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { acks } from './acks.js';
import { fileStore } from './file-store.js';
import { Bench, type Suite } from './harness/bench.js';
import { environment } from './harness/environment.js';
import { print } from './harness/print.js';
import { keepOneOfEach } from './harness/standing.js';
import { memory } from './memory.js';
import { record } from './record.js';
import { resume } from './resume.js';
import { start } from './start.js';
import { stores } from './stores.js';
import { streams } from './streams.js';

const SUITES: readonly Suite[] = [record, streams, acks, fileStore, stores, resume, memory, start];

const { values, positionals } = parseArgs({
  options: { quick: { type: 'boolean', default: false }, save: { type: 'boolean', default: false } },
  allowPositionals: true,
});
const unknown = positionals.filter((name) => !SUITES.some((suite) => suite.name === name));
if (unknown.length > 0) {
  console.error(
    `Expected suites among ${SUITES.map(({ name }) => name).join(', ')}, got ${unknown.join(', ')}`,
  );
  process.exit(2);
}

const results = path.join(path.dirname(fileURLToPath(import.meta.url)), 'results');
const began = performance.now();
await keepOneOfEach();
for (const { name, question, run } of SUITES) {
  if (positionals.length > 0 && !positionals.includes(name)) continue;
  const bench = new Bench(values.quick);
  const suiteBegan = performance.now();
  try {
    await run(bench);
  } finally {
    await bench.end();
  }
  const seconds = Math.round((performance.now() - suiteBegan) / 1000);
  print(name, question, bench.findings, seconds);
  if (values.quick && !values.save) continue;
  await mkdir(results, { recursive: true });
  const result = {
    suite: name,
    question,
    ...(await environment()),
    quick: values.quick,
    seconds,
    ...bench.findings,
  };
  await writeFile(path.join(results, `${name}.json`), `${JSON.stringify(result, null, 2)}\n`);
}
console.log(`${Math.round((performance.now() - began) / 1000)} s in all`);
