import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { inTemporaryFolder, root, runModule } from '../support/run-example.js';

const folder = path.join(root, 'docs/examples');
const files = readdirSync(folder).filter((name) => name.endsWith('.ts'));

describe('the examples of the docs', () => {
  it('are there', () => {
    expect(files).toEqual(expect.arrayContaining(['auto.ts', 'periodic.ts', 'manual.ts', 'recovery.ts']));
  });

  it.concurrent.each(files)('%s prints what it says', async (name) => {
    const file = path.join(folder, name);
    const promised = /\/\* Prints:\n([\s\S]*?)\*\/\n$/.exec(readFileSync(file, 'utf8'))?.[1];
    const ran = await inTemporaryFolder((cwd) => runModule(file, cwd));
    expect(ran).toEqual({ code: 0, stdout: promised, stderr: '' });
  });
});
