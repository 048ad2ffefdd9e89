import { appendFile, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { expect, it } from '@jest/globals';
import { inTemporaryFolder, type Ran, root, runModule } from '../support/run-example.js';

/**
 * A block that a reader does something with: a file to make, which the comment or the sentence before names, lines
 * to append, a command to run, or what that prints.
 */
const STEP = /(?:<!-- (?:(file|append): (\S+)|\S+\/(\S+)) -->\n\n)?^```([\w ]+)\n([\s\S]*?)^```$/gm;

it('getting started goes as its page says', async () => {
  const page = await readFile(path.join(root, 'docs/getting-started.md'), 'utf8');
  const done = { files: 0, runs: 0 };
  await inTemporaryFolder(async (folder) => {
    let ran: Ran | undefined;
    for (const [, how, named, included, language, code] of page.matchAll(STEP)) {
      const file = named ?? included;
      if (file !== undefined) {
        await (how === 'append' ? appendFile : writeFile)(path.join(folder, file), code!);
        done.files++;
      } else if (language === 'sh') {
        // (The first one installs the package.)
        const command = /^node (\S+) ?(.*)\n$/.exec(code!);
        if (command === null) continue;
        expect(ran?.stdout ?? '').toBe(''); // of the last one no output is shown
        ran = await runModule(path.join(folder, command[1]!), folder, command[2]!.split(' ').filter(Boolean));
        done.runs++;
      } else {
        expect(language).toBe('text');
        expect(ran).toMatchObject({ stdout: code, stderr: '' });
        ran = undefined;
      }
    }
  });
  expect(done).toEqual({ files: 5, runs: 5 });
}, 120_000);
