import { readFileSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { inTemporaryFolder, root, runModule } from '../support/run-example.js';

const readme = readFileSync(path.join(root, 'README.md'), 'utf8');
const scripts = (
  JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8')) as { scripts: Record<string, string> }
).scripts;

/** The code blocks of a language, as they stand. */
function blocks(language: string): string[] {
  return Array.from(
    readme.matchAll(new RegExp(`^\`\`\`${language}\\n([\\s\\S]*?)^\`\`\`$`, 'gm')),
    (m) => m[1]!,
  );
}

describe('the README', () => {
  const quickStart = blocks('js')[0]!;

  it('has a quick start of at most 15 lines', () => {
    expect(quickStart.trim().split('\n').length).toBeLessThanOrEqual(15);
  });

  it('has a quick start that runs as pasted, and goes on after what is done when run again', async () => {
    await inTemporaryFolder(async (folder) => {
      const file = path.join(folder, 'quick-start.mjs');
      const events = path.join(folder, 'events.jsonl');
      await writeFile(file, quickStart);
      await writeFile(events, '{"id":1}\n{"id":2}\n');
      expect(await runModule(file, folder)).toEqual({
        code: 0,
        stdout: '{ id: 1 }\n{ id: 2 }\n',
        stderr: '',
      });
      await writeFile(events, '{"id":3}\n', { flag: 'a' });
      expect(await runModule(file, folder)).toEqual({ code: 0, stdout: '{ id: 3 }\n', stderr: '' });
      expect(await readFile(path.join(folder, 'offsets.json'), 'utf8')).toContain('events');
    });
  });

  it('names only commands that there are', () => {
    const named = Array.from(readme.matchAll(/npm run ([\w:]+)/g), (m) => m[1]!);
    expect(named).toEqual(expect.arrayContaining(['demo']));
    for (const name of named) expect(Object.keys(scripts)).toContain(name);
  });

  it('links only to files that there are', () => {
    const links = Array.from(readme.matchAll(/\]\((?!https?:|#)([^)#]+)[^)]*\)/g), (m) => m[1]!);
    expect(links.length).toBeGreaterThan(0);
    for (const link of links) expect(() => readFileSync(path.join(root, link))).not.toThrow();
  });
});
