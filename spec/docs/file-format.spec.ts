import { readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { expect, it } from '@jest/globals';
import { FileOffsetStore } from '../../lib/index.js';
import { inTemporaryFolder, root } from '../support/run-example.js';

it('the file that the page on the format shows is one, and holds what the page says', async () => {
  const page = readFileSync(path.join(root, 'docs/explanation/file-format.md'), 'utf8');
  const shown = /^```json\n([\s\S]*?)^```$/m.exec(page)?.[1];
  await inTemporaryFolder(async (folder) => {
    const file = path.join(folder, 'offsets.json');
    await writeFile(file, shown!);
    await using store = new FileOffsetStore(file);
    expect(await store.getAll()).toEqual(new Map([['orders', { kind: 'sequence', value: 5n }]]));
    expect([await store.epoch('orders'), await store.epoch('x')]).toEqual([0, 1]);
  });
});
