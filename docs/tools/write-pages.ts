/**
 * Writes into the pages what is made from other files: their code blocks and the tables of the reference. With
 * `--check` it writes nothing, and names the pages that are not as it would write them.
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { format, resolveConfig } from 'prettier';
import { withBlocks } from './blocks.js';
import { referenceTables } from './reference.js';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../..');
const check = process.argv.includes('--check');
const tables: Readonly<Record<string, string>> = { ...referenceTables(root) };

const pages = readdirSync(path.join(root, 'docs'), { recursive: true, encoding: 'utf8' })
  .filter((name) => name.endsWith('.md'))
  .map((name) => path.join('docs', name))
  .toSorted();

for (const page of ['README.md', ...pages]) {
  const file = path.join(root, page);
  const text = readFileSync(file, 'utf8');
  const written = withBlocks(withTables(text), (name) => readFileSync(path.join(root, name), 'utf8'));
  const formatted = await format(written, { ...(await resolveConfig(file)), filepath: file });
  if (formatted === text) continue;
  if (!check) writeFileSync(file, formatted);
  console.log(page);
  if (check) process.exitCode = 1;
}

/** What stands between `<!-- begin NAME -->` and `<!-- end -->` is the table of that name. */
function withTables(text: string): string {
  return text.replaceAll(
    /(<!-- begin (\w+) -->\n)[\s\S]*?(<!-- end -->)/g,
    (_whole, begin: string, name: string, end: string) => {
      const table = tables[name];
      if (table === undefined)
        throw new Error(`Expected one of ${Object.keys(tables).join(', ')}, got ${name}`);
      return `${begin}\n${table}\n${end}`;
    },
  );
}
