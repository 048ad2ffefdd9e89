import { execFile } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { mkdtemp, realpath, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';
import ts from 'typescript';
import { root } from '../support/run-example.js';
import { entryPoints, makeProject, packLibrary, type PackReport } from './packed-library.js';

const run = promisify(execFile);

/** Other Nodes than this one: `NODE_BINARIES=/opt/node22/bin/node:/opt/node24/bin/node npx jest spec/package`. */
const nodes = process.env['NODE_BINARIES']?.split(path.delimiter) ?? [process.execPath];

/** Some more than there is; who goes over it has to mean it. */
const MAX_PACKED_BYTES = 200_000;
const MAX_UNPACKED_BYTES = 750_000;

/** In both module systems: read a file, commit, resume. `load` gives a module by its name. */
const JOB = `
async function job(load) {
  const { FileOffsetStore, InMemoryOffsetStore, Offset, OffsetTracker, readLines, withOffsets } =
    await load('streamweave-offset');
  const { mkdtempSync, rmSync, writeFileSync } = await load('node:fs');
  const { tmpdir } = await load('node:os');
  const { join } = await load('node:path');
  const { Readable } = await load('node:stream');
  const { pipeline } = await load('node:stream/promises');
  const folder = mkdtempSync(join(tmpdir(), 'streamweave-offset-'));
  try {
    writeFileSync(join(folder, 'events.txt'), 'a\\nb\\nc\\n');
    const seen = [];
    for (const take of [2, 9]) {
      const store = new FileOffsetStore(join(folder, 'offsets.json'));
      const tracker = new OffsetTracker(store);
      const lines = readLines(join(folder, 'events.txt'), { after: await tracker.getCheckpoint('events') });
      const options = { source: 'events', offsetOf: (l) => l.offset, metadataOf: (l) => l.metadata };
      await pipeline(
        Readable.from(lines).take(take),
        withOffsets(tracker, options),
        async (done) => { for await (const { line } of done) seen.push(line); },
      );
      await tracker.close();
      await store.close();
    }
    return seen.join();
  } finally {
    rmSync(folder, { recursive: true });
  }
}
`;

let folder: string;
let report: PackReport;
/** A project with the library alone, and one with what a user of TypeScript and of metrics has, too. */
let bare: string;
let typed: string;

beforeAll(async () => {
  folder = await realpath(await mkdtemp(path.join(tmpdir(), 'streamweave-offset-')));
  report = await packLibrary(folder);
  const tarball = path.join(folder, report.filename);
  bare = await makeProject(path.join(folder, 'bare'), tarball);
  typed = await makeProject(path.join(folder, 'typed'), tarball, ['@types/node', '@opentelemetry/api']);
}, 300_000);

jest.setTimeout(120_000);

afterAll(async () => {
  await rm(folder, { recursive: true, force: true });
});

describe('the packed library', () => {
  it('holds a file for each entry point, what they share, the types of lib/, and what goes with them', () => {
    const types = readdirSync(path.join(root, 'lib'), { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.ts'))
      .map((name) => `dist/${name.split(path.sep).join('/').replace(/\.ts$/, '.d.ts')}`);
    const files = report.files.map((file) => file.path);
    const shared = files.filter((name) => /^dist\/chunks\/[\w-]+\.js$/.test(name));
    expect(shared).not.toEqual([]);
    expect(files.toSorted()).toEqual(
      [
        'CHANGELOG.md',
        'LICENSE',
        'README.md',
        'package.json',
        ...['index', 'otel/index', 'testing/index', 'stores/sqlite', 'stores/postgres', 'stores/redis'].map(
          (name) => `dist/${name}.js`,
        ),
        ...shared,
        ...types,
      ].toSorted(),
    );
  });

  it('is not larger than it was meant to be', () => {
    expect(report.size).toBeLessThan(MAX_PACKED_BYTES);
    expect(report.unpackedSize).toBeLessThan(MAX_UNPACKED_BYTES);
  });
});

describe.each(nodes)('a project on %s', (node) => {
  /** What a script of the project prints. */
  async function outputOf(name: string, script: string): Promise<string> {
    const file = path.join(bare, name);
    await writeFile(file, script);
    return (await run(node, [file], { cwd: bare })).stdout.trim();
  }

  it('gets the same from import and from require, at every entry point', async () => {
    const differences = await outputOf(
      'both.mjs',
      `import { createRequire } from 'node:module';
      const require = createRequire(import.meta.url);
      const result = {};
      for (const name of ${JSON.stringify(entryPoints)}) {
        const [imported, required] = [await import(name), require(name)];
        result[name] = Object.keys(imported).filter((key) => imported[key] !== required[key]);
        if (Object.keys(imported).length === 0) result[name] = 'nothing';
      }
      console.log(JSON.stringify(result));`,
    );
    expect(JSON.parse(differences)).toEqual(Object.fromEntries(entryPoints.map((name) => [name, []])));
  });

  it('can require every entry point before anything is imported', async () => {
    const script = entryPoints.map((name) => `require('${name}');`).join('\n');
    expect(
      await outputOf(
        'required.cjs',
        `${script} console.log(require('streamweave-offset/package.json').name)`,
      ),
    ).toBe('streamweave-offset');
  });

  it.each([
    ['modules', 'job.mjs', `${JOB} console.log(await job((name) => import(name)));`],
    ['CommonJS', 'job.cjs', `${JOB} void job(require).then(console.log);`],
  ])('commits and resumes, from %s', async (_, name, script) => {
    expect(await outputOf(name, script)).toBe('a,b,c');
  });

  it('is told what to install by a store that is given no client', async () => {
    const messages = await outputOf(
      'drivers.mjs',
      `for (const [name, store] of [
        ['sqlite', 'SqliteOffsetStore'], ['postgres', 'PostgresOffsetStore'], ['redis', 'RedisOffsetStore'],
      ]) {
        const module = await import('streamweave-offset/' + name);
        try { new module[store](undefined); } catch (error) { console.log(error.name, error.code, error.message); }
      }`,
    );
    expect(messages.split('\n')).toEqual([
      expect.stringMatching(/^TypeError ERR_INVALID_ARG_TYPE Expected .*better-sqlite3.*, got undefined/),
      expect.stringMatching(/^TypeError ERR_INVALID_ARG_TYPE Expected .*pg.*, got undefined/),
      expect.stringMatching(/^TypeError ERR_INVALID_ARG_TYPE Expected .*ioredis.*redis.*, got undefined/),
    ]);
  });
});

describe('types', () => {
  const consumer = [
    ...entryPoints.flatMap((name, index) => [
      `import * as m${index} from '${name}';`,
      '// @ts-expect-error It has a type of its own, which is not any.',
      `export const n${index}: number = m${index};`,
    ]),
    `import { FileOffsetStore, Offset, OffsetTracker, type OffsetStore, withAcks } from 'streamweave-offset';
    export const store: OffsetStore = new FileOffsetStore('offsets.json');
    await using tracker = new OffsetTracker(store);
    await tracker.record('orders', Offset.sequence(1n), { metadata: { host: 'a', at: new Date() } });
    for await (const delivery of withAcks<string>(tracker, 'orders')) {
      delivery.value.toUpperCase();
      delivery.ack();
    }
    // @ts-expect-error A store is needed.
    export const none = new OffsetTracker();`,
  ].join('\n');

  const required = entryPoints.flatMap((name, index) => [
    `import m${index} = require('${name}');`,
    `export const n${index}: object = m${index};`,
  ]);

  // What the compiler and Node bring is read once.
  const parsed = new Map<string, ts.SourceFile | undefined>();

  /** What the compiler says of the files, and of every declaration of the library that they reach. */
  async function errorsOf(
    project: string,
    texts: Readonly<Record<string, string>>,
    options: ts.CompilerOptions,
  ): Promise<string[]> {
    const files = Object.keys(texts).map((name) => path.join(project, name));
    for (const file of files) await writeFile(file, texts[path.basename(file)]!);
    const allOptions: ts.CompilerOptions = {
      target: ts.ScriptTarget.ES2022,
      lib: ['lib.es2023.d.ts', 'lib.esnext.disposable.d.ts'],
      types: ['node'],
      strict: true,
      noEmit: true,
      ...options,
    };
    const host = ts.createCompilerHost(allOptions);
    const read = host.getSourceFile.bind(host);
    host.getSourceFile = (name, ...rest) => {
      if (name.startsWith(folder)) return read(name, ...rest);
      if (!parsed.has(name)) parsed.set(name, read(name, ...rest));
      return parsed.get(name);
    };
    const program = ts.createProgram({ rootNames: files, options: allOptions, host });
    // Not of what the compiler and Node bring, which would take longest.
    const checked = program.getSourceFiles().filter(({ fileName }) => fileName.startsWith(project));
    expect(checked.length).toBeGreaterThan(10);
    return [
      ...program.getOptionsDiagnostics(),
      ...program.getGlobalDiagnostics(),
      ...checked.flatMap((file) => [
        ...program.getSyntacticDiagnostics(file),
        ...program.getSemanticDiagnostics(file),
      ]),
    ].map(
      ({ file, messageText }) =>
        `${file && path.relative(project, file.fileName)}: ${ts.flattenDiagnosticMessageText(messageText, '\n')}`,
    );
  }

  it('resolve for modules and for CommonJS', async () => {
    const texts = { 'consumer.mts': consumer, 'consumer.cts': required.join('\n') };
    expect(await errorsOf(typed, texts, { module: ts.ModuleKind.NodeNext })).toEqual([]);
  });

  it('resolve for a bundler', async () => {
    const options = { module: ts.ModuleKind.ESNext, moduleResolution: ts.ModuleResolutionKind.Bundler };
    expect(await errorsOf(typed, { 'bundled.ts': consumer }, options)).toEqual([]);
  });

  it('need no optional peer where it is not used', async () => {
    const tarball = path.join(folder, report.filename);
    const project = await makeProject(path.join(folder, 'no-peers'), tarball, ['@types/node']);
    const names = entryPoints.filter((name) => !name.endsWith('/otel'));
    const text = names.map((name, index) => `export * as m${index} from '${name}';`).join('\n');
    expect(await errorsOf(project, { 'index.mts': text }, { module: ts.ModuleKind.NodeNext })).toEqual([]);
  });
});
