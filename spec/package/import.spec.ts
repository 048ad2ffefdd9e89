import { execFile } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import ts from 'typescript';

const runFile = promisify(execFile);

const ENTRIES = ['index', 'stores/sqlite', 'stores/postgres', 'stores/redis'];

/** What a store loads by itself once it is used. */
const DEPENDENCIES = ['fs-extra', 'proper-lockfile', 'superjson'];

let folder: string;

beforeAll(async () => {
  // Outside of the repository, where no package can be found: an import that needs one fails.
  folder = await mkdtemp(join(tmpdir(), 'streamweave-offset-import-'));
  await writeFile(join(folder, 'package.json'), '{"type":"module"}');
  await runFile(process.execPath, ['node_modules/rolldown/bin/cli.mjs', '--config', '--dir', folder]);
});

afterAll(async () => {
  await rm(folder, { recursive: true });
});

/** What a process has loaded of Node when it has imported the file. */
async function loadedBy(name: string): Promise<string[]> {
  const source =
    'const before = new Set(process.moduleLoadList); await import(process.argv[1]);' +
    'console.log(JSON.stringify(process.moduleLoadList.filter((name) => !before.has(name))))';
  const { stdout } = await runFile(
    process.execPath,
    ['--input-type=module', '--eval', source, join(folder, `${name}.js`)],
    { env: { PATH: process.env['PATH'] } },
  );
  return JSON.parse(stdout) as string[];
}

/** What the code imports, by statements and by import(). */
function specifiers(source: string): string[] {
  const found: string[] = [];
  (function visit(node: ts.Node): void {
    if (ts.isImportDeclaration(node) && ts.isStringLiteral(node.moduleSpecifier))
      found.push(node.moduleSpecifier.text);
    if (ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword)
      found.push(node.arguments[0]?.getText().slice(1, -1) ?? '');
    ts.forEachChild(node, visit);
  })(ts.createSourceFile('built.js', source, ts.ScriptTarget.Latest, true));
  return found;
}

describe('the import of the package', () => {
  it.each(ENTRIES)('needs no other package: %s', async (name) => {
    await expect(loadedBy(name)).resolves.toEqual(expect.any(Array));
  });

  it('loads of Node nothing that only files need', async () => {
    const loaded = await loadedBy('index');
    for (const name of ['crypto', 'zlib', 'fs/promises'])
      expect(loaded).not.toContain(`NativeModule ${name}`);
  });

  it('leads to no package but the dependencies, and to those only when they are used', async () => {
    const files = (await readdir(folder, { recursive: true })).filter((name) => name.endsWith('.js'));
    const sources = await Promise.all(files.map((name) => readFile(join(folder, name), 'utf8')));
    const packages = sources.flatMap(specifiers).filter((name) => !/^(node:|\.)/.test(name));
    expect([...new Set(packages)].toSorted()).toEqual(DEPENDENCIES);
    // Neither does what is loaded later lead to them by itself.
    for (const name of files.filter((file) => file.startsWith('chunks'))) await loadedBy(name.slice(0, -3));
  });
});
