import path from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { cyclesOf, importGraph, type ImportGraph, importsOf } from './import-graph.js';

/** What a part of the library may import of the others, beside itself and the ground floor. */
const PARTS: Readonly<Record<string, { readonly mayImport: readonly string[]; readonly why: string }>> = {
  ground: { mayImport: [], why: 'the ground floor stands on nothing of ours' },
  tracker: { mayImport: [], why: 'the tracker knows no store, only the OffsetStore interface' },
  streams: { mayImport: ['tracker'], why: 'streams know the tracker, and no store' },
  stores: { mayImport: [], why: 'a store knows neither tracker nor streams' },
  sources: { mayImport: [], why: 'a source knows the ground floor only' },
  testing: { mayImport: [], why: 'the conformance suite knows the contract, and no store' },
  otel: { mayImport: ['tracker'], why: 'metrics are read from the tracker' },
  cli: {
    mayImport: ['tracker', 'streams', 'stores', 'sources'],
    why: 'the command line may use all but the tests',
  },
  index: {
    mayImport: ['tracker', 'streams', 'stores', 'sources'],
    why: 'the main entry point leaves what has an entry point of its own to that',
  },
};

/** The packages that may be loaded, and where; Node's own modules may be anywhere. */
const PACKAGES: Readonly<Record<string, RegExp>> = {
  'fs-extra': /^stores\/file\//,
  'proper-lockfile': /^stores\/file\//,
  superjson: /^stores\/metadata-json\.ts$/,
};

/** Packages of which only types may be imported: the user installs them, and whoever does not loses nothing. */
const TYPES_OF: Readonly<Record<string, RegExp>> = {
  ...PACKAGES,
  '@opentelemetry/api': /^otel\//,
};

/** `ground` for the files directly in `lib/`, else the name of the folder. */
function partOf(file: string): string {
  if (file === 'index.ts') return 'index';
  return file.includes('/') ? file.slice(0, file.indexOf('/')) : 'ground';
}

/** `postgres` for `stores/postgres.ts` and `stores/postgres/…`, where both are; undefined for what stores share. */
function storeOf(file: string, families: ReadonlySet<string>): string | undefined {
  const name = /^stores\/([^/]+?)(?:\.ts$|\/)/.exec(file)?.[1];
  return name !== undefined && families.has(name) ? name : undefined;
}

/** What breaks the layering, in sentences that name the file, what it imports, and the rule. */
function brokenBy(graph: ImportGraph): string[] {
  const files = [...graph.keys()];
  const families = new Set([
    'memory',
    ...files.flatMap((file) => /^stores\/([^/]+)\//.exec(file)?.[1] ?? []),
  ]);

  /** The rule that the import breaks, if any. */
  const ruleAgainst = (
    file: string,
    target: string | undefined,
    isOwn: boolean,
    isType: boolean,
  ): string | undefined => {
    const part = partOf(file);
    const rule = PARTS[part];
    if (rule === undefined) return `what is in ${part} may import nothing before a rule tells what`;
    if (target === undefined) return 'only what is written out can be checked';
    if (!isOwn) {
      const allowed = (isType ? TYPES_OF : PACKAGES)[target];
      if (target.startsWith('node:') || allowed?.test(file) === true) return undefined;
      return 'drivers and other packages come from the caller';
    }
    if (target.startsWith('../')) return 'lib/ imports nothing outside of itself';
    const other = partOf(target);
    if (other !== part && other !== 'ground' && !rule.mayImport.includes(other)) return rule.why;
    const otherStore = storeOf(target, families);
    if (part === 'stores' && otherStore !== undefined && otherStore !== storeOf(file, families)) {
      return 'a store knows no other store, and what they share knows none';
    }
    return undefined;
  };

  return files.flatMap((file) =>
    graph.get(file)!.flatMap(({ target, isOwn, isType }) => {
      const rule = ruleAgainst(file, target, isOwn, isType);
      return rule === undefined ? [] : [`${file} imports ${target ?? 'something computed'}: ${rule}`];
    }),
  );
}

const graph = importGraph(path.join(__dirname, '..', '..', 'lib'));

describe('imports in lib/', () => {
  it('were found', () => {
    const targets = [...graph.values()]
      .flat()
      .filter(({ isOwn }) => isOwn)
      .map(({ target }) => target!);
    expect(targets).toContain('tracker/offset-tracker.ts');
    expect(targets.filter((target) => !graph.has(target))).toEqual([]);
  });

  it('point one way', () => {
    expect(brokenBy(graph)).toEqual([]);
  });

  it('make no cycle', () => {
    expect(cyclesOf(graph).map((cycle) => cycle.join(' → '))).toEqual([]);
  });
});

describe('the rules about imports', () => {
  /** The graph of `lib/` with more at the end of a file. */
  function withImport(file: string, line: string): ImportGraph {
    expect(graph.has(file)).toBe(true);
    return new Map(graph).set(file, [...graph.get(file)!, ...importsOf(file, line)]);
  }

  const before = brokenBy(graph);

  it.each([
    ['tracker/committer.ts', "import { InMemoryOffsetStore } from '../stores/memory.js';"],
    ['tracker/committer.ts', "import type { Checked } from '../stores/commit-rules.js';"],
    ['tracker/committer.ts', "const x = await import('../stores/memory.js');"],
    ['tracker/committer.ts', "type X = typeof import('../stores/memory.js');"],
    ['tracker/committer.ts', "export { withAcks } from '../streams/with-acks.js';"],
    ['streams/with-acks.ts', "import { FileOffsetStore } from '../stores/file/file-store.js';"],
    ['streams/with-acks.ts', "import { readLines } from '../sources/lines.js';"],
    ['stores/memory.ts', "import { systemClock } from '../tracker/clock.js';"],
    ['stores/file/rounds.ts', "import { withAcks } from '../../streams/with-acks.js';"],
    ['stores/sqlite.ts', "import type { Drivers } from './postgres/drivers.js';"],
    ['stores/commit-rules.ts', "import { InMemoryOffsetStore } from './memory.js';"],
    ['sources/lines.ts', "import { OffsetTracker } from '../tracker/offset-tracker.js';"],
    ['testing/expect.ts', "import { InMemoryOffsetStore } from '../stores/memory.js';"],
    ['otel/index.ts', "import { withAcks } from '../streams/with-acks.js';"],
    ['offset.ts', "import { systemClock } from './tracker/clock.js';"],
    ['validate.ts', "import * as all from './index.js';"],
    ['index.ts', "export { SqliteOffsetStore } from './testing/index.js';"],
    ['stores/postgres.ts', "import type { Pool } from 'pg';"],
    ['stores/redis.ts', "const { Redis } = await import('ioredis');"],
    ['stores/sqlite.ts', "import Database = require('libsql');"],
    ['tracker/committer.ts', "import superjson from 'superjson';"],
    ['otel/index.ts', "import { metrics } from '@opentelemetry/api';"],
    ['tracker/committer.ts', "import { FakeClock } from '../../spec/support/fake-clock.js';"],
    ['sources/lines.ts', "import '../../docs/examples/demo/data.js';"],
    ['sources/lines.ts', "import '../../benchmarks/main.js';"],
    ['stores/file/io.ts', 'const x = await import(name);'],
  ])('refuse in %s: %s', (file, line) => {
    const broken = brokenBy(withImport(file, line)).filter((sentence) => !before.includes(sentence));
    expect(broken).toEqual([expect.stringContaining(`${file} imports `)]);
  });

  it.each([
    ['tracker/committer.ts', "import { Offset } from '../offset.js';"],
    ['streams/with-acks.ts', "import { OffsetTracker } from '../tracker/offset-tracker.js';"],
    ['stores/redis.ts', "import { applyCommit } from './commit-rules.js';"],
    ['stores/redis.ts', "import { scripts } from './redis/scripts.js';"],
    ['otel/index.ts', "import type { Meter } from '@opentelemetry/api';"],
    ['sources/lines.ts', "import { open } from 'node:fs/promises';"],
    [
      'sources/lines.ts',
      "// import pg from 'pg';\nconst text = \"import pg from 'pg'\"; const quote = /[\"']/;",
    ],
  ])('allow in %s: %s', (file, line) => {
    expect(brokenBy(withImport(file, line))).toEqual(before);
  });

  it('find a cycle of what is loaded, at once or later, and not of types', () => {
    const texts = {
      'a.ts': "import { b } from './b.js';",
      'b.ts': "const c = await import('./c/c.js');",
      'c/c.ts': "export * from '../a.js'; import type { D } from '../d.js';",
      'd.ts': "import './a.js'; type C = import('./c/c.js').C;",
    };
    const made = new Map(Object.entries(texts).map(([file, text]) => [file, importsOf(file, text)]));
    expect(cyclesOf(made)).toEqual([['a.ts', 'b.ts', 'c/c.ts', 'a.ts']]);
  });
});
