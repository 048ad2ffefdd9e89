/** `npm run bench [-- suite …] [-- --quick]`: runs the suites and writes benchmarks/results/<suite>.json. */
import { mkdir, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import Table from 'cli-table3';
import { compare, type Variant } from './compare.js';
import { fileStore } from './file-store.js';
import { record } from './record.js';
import { streams } from './streams.js';

const suites: Readonly<Record<string, readonly Variant[]>> = { record, streams, 'file-store': fileStore };

const { values, positionals } = parseArgs({
  options: { quick: { type: 'boolean' } },
  allowPositionals: true,
});
const unknown = positionals.filter((name) => !Object.hasOwn(suites, name));
if (unknown.length > 0) {
  console.error(`Expected suites among ${Object.keys(suites).join(', ')}, got ${unknown.join(', ')}`);
  process.exit(2);
}

const rounds = values.quick === true ? 3 : 11;
const results = path.join(path.dirname(fileURLToPath(import.meta.url)), 'results');
await mkdir(results, { recursive: true });

for (const [name, variants] of Object.entries(suites)) {
  if (positionals.length > 0 && !positionals.includes(name)) continue;
  const lines = await compare(variants, rounds);
  const table = new Table({
    head: [name, 'operations/s', '± spread', 'ratio'],
    colAligns: ['left', 'right', 'right', 'right'],
    style: { head: [], border: [] },
  });
  for (const line of lines) {
    table.push([
      line.name,
      line.perSecond.toLocaleString('en'),
      `${(line.spread * 100).toFixed(1)} %`,
      line.ratio.toFixed(2),
    ]);
  }
  console.log(table.toString());
  const machine = { cpu: os.cpus()[0]?.model, cores: os.cpus().length, platform: process.platform };
  const result = {
    suite: name,
    date: new Date().toISOString(),
    node: process.version,
    machine,
    rounds,
    lines,
  };
  await writeFile(path.join(results, `${name}.json`), `${JSON.stringify(result, null, 2)}\n`);
}
