import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { blocksOf, excerpt, withBlocks } from '../../docs/tools/blocks.js';
import { root } from '../support/run-example.js';

/** The files that a spec runs: of this folder, or that of the conformance suite's example below. */
const RUN = [
  /^docs\/examples\/[\w-]+\.ts$/,
  /^docs\/examples\/getting-started\/[\w-]+\.mjs$/,
  /^docs\/examples\/own-store\/lmdb-store(?:\.test)?\.ts$/,
  /^docs\/examples\/postgres\/[\w-]+\.ts$/,
];

const read = (file: string): string => readFileSync(path.join(root, file), 'utf8');

const pages = readdirSync(path.join(root, 'docs'), { recursive: true, encoding: 'utf8' })
  .filter((name) => name.endsWith('.md'))
  .map((name) => path.posix.join('docs', name));

/** The pages that stand beside the README. */
const project = ['CHANGELOG.md', 'CONTRIBUTING.md', 'SECURITY.md', 'UPGRADING.md'];

const programs = (page: string) =>
  blocksOf(read(page)).filter(({ language }) => /^[cm]?[jt]s$/.test(language));

describe('the code in the docs', () => {
  it('is there', () => {
    expect(pages.length).toBeGreaterThan(10);
    expect(pages.flatMap(programs).length).toBeGreaterThan(20);
  });

  it.each(pages)('%s: each block names a file that is run, and is the same as in there', (page) => {
    for (const { file, region, code } of programs(page)) {
      // A block without its comment above it:
      //   <!-- docs/examples/name.ts#region -->
      expect({ file, code }).toEqual({ file: expect.any(String), code });
      expect(RUN.some((run) => run.test(file!)) ? file : `not run: ${file}`).toBe(file);
      expect(code).toBe(excerpt(read(file!), file!, region));
    }
  });

  it('is what `npm run docs:write` would write, as are the tables', () => {
    const args = ['--import', 'tsx', 'docs/tools/write-pages.ts', '--check'];
    const { status, stdout, stderr } = spawnSync(process.execPath, args, { cwd: root, encoding: 'utf8' });
    expect({ status, stdout, stderr }).toEqual({ status: 0, stdout: '', stderr: '' });
  }, 120_000);

  it('of the README is code that is run, or run by its own spec', () => {
    const all = readdirSync(path.join(root, 'docs/examples'), { recursive: true, encoding: 'utf8' })
      .filter((name) => /\.(?:ts|mjs)$/.test(name))
      .flatMap((name) => read(path.join('docs/examples', name)));
    const [quickStart, ...others] = programs('README.md');
    // (readme.spec.ts runs the first one as it stands.)
    expect(quickStart).toBeDefined();
    for (const { code } of others) expect(all.some((text) => text.includes(code))).toBe(true);
  });
});

describe('the blocks of a page', () => {
  const file =
    '/** What it is. */\nconst a = 1;\n{\n  // #region one\n  use(a);\n  // #endregion\n}\n\n/* Prints:\n1\n*/\n';
  const page = (region: string, code: string): string =>
    `# A\n\n<!-- a.ts${region} -->\n\n\`\`\`ts\n${code}\`\`\`\n`;

  it.each([
    ['#one', 'use(a);\n'],
    ['#prints', '1\n'],
    ['', 'const a = 1;\n{\n  use(a);\n}\n'],
  ])('are those of the file: %s', (region, code) => {
    expect(withBlocks(page(region, 'old\n'), () => file)).toBe(page(region, code));
    expect(blocksOf(page(region, code))).toEqual([
      { file: 'a.ts', region: region.slice(1) || undefined, language: 'ts', code },
    ]);
  });

  it('without a comment are told apart', () => {
    expect(blocksOf('```ts\nuse(a);\n```\n')).toEqual([
      { file: undefined, region: undefined, language: 'ts', code: 'use(a);\n' },
    ]);
  });

  it('of a region that is not there are an error', () => {
    expect(() => withBlocks(page('#two', ''), () => file)).toThrow('Expected a region "two" in a.ts');
  });
});

describe('the links in the docs', () => {
  it.each(['README.md', ...project, ...pages])('%s leads only to what there is', (page) => {
    const text = read(page).replaceAll(/^```[\s\S]*?^```$/gm, '');
    for (const [, link] of text.matchAll(/\]\((?!https?:)([^)\s]+)\)/g)) {
      const [target, anchor] = link!.split('#');
      const file = target === '' ? page : path.posix.join(path.posix.dirname(page), target!);
      expect(existsSync(path.join(root, file)) ? file : `${page}: no ${link}`).toBe(file);
      if (anchor !== undefined) expect(anchorsOf(read(file))).toContain(anchor);
    }
  });

  it.each(['README.md', ...project, ...pages])('%s names only commands that there are', (page) => {
    const { scripts } = JSON.parse(read('package.json')) as { scripts: Record<string, string> };
    for (const [, name] of read(page).matchAll(/npm run ([\w:]+)/g)) {
      expect(Object.keys(scripts)).toContain(name);
    }
  });

  it('lead from the index to every page', () => {
    const index = read('docs/index.md');
    for (const page of [...project, ...pages.filter((name) => name !== 'docs/index.md')]) {
      expect(index).toContain(`(${path.posix.relative('docs', page)})`);
    }
  });

  it('lead from the README to the pages beside it', () => {
    const readme = read('README.md');
    for (const page of project) expect(readme).toContain(`(${page})`);
  });
});

/** The anchors that GitHub makes of headings. */
function anchorsOf(text: string): string[] {
  return Array.from(text.matchAll(/^#+ (.+)$/gm), ([, heading]) =>
    heading!
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N}_ -]/gu, '')
      .replaceAll(' ', '-'),
  );
}

describe('the reference', () => {
  it('explains what to do about every code', () => {
    const codes = Array.from(read('lib/errors.ts').matchAll(/^ {2}\| '(OFFSET_\w+)'/gm), ([, code]) => code!);
    expect(codes.length).toBeGreaterThan(10);
    const headings = Array.from(
      read('docs/reference/errors.md').matchAll(/^### (OFFSET_\w+)$/gm),
      ([, code]) => code!,
    );
    expect(headings.toSorted()).toEqual(codes.toSorted());
  });

  it('covers every module that the package exports', () => {
    const { exports } = JSON.parse(read('package.json')) as { exports: Record<string, unknown> };
    const modules = Object.keys(exports)
      .filter((name) => name !== './package.json')
      .map((name) => path.posix.join('streamweave-offset', name));
    const tools = read('docs/tools/reference.ts');
    const site = JSON.parse(read('docs/typedoc.json')) as { entryPoints: string[] };
    for (const name of modules) expect(tools).toContain(`'${name}'`);
    expect(site.entryPoints).toHaveLength(modules.length);
  });
});
