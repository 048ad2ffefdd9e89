import { afterEach, expect, it } from '@jest/globals';
import { fillUp } from '../../../support/fire-full.js';
import { needs } from '../../../support/fire-gate.js';
import { Mounts } from '../../../support/fire-mounts.js';
import { printFigures } from '../../../support/fire-random.js';

const COMMANDS = ['mount', 'umount'];
const inMemory = needs({ root: true, command: COMMANDS, mount: 'tmpfs' });
const onDisk = needs({ root: true, command: [...COMMANDS, 'mkfs.ext4'], mount: 'ext4' });

let mounts: Mounts | undefined;

afterEach(async () => {
  await mounts?.[Symbol.asyncDispose]();
  mounts = undefined;
});

async function show(title: string, directory: string): Promise<void> {
  const { cases, committed, refused } = await fillUp(directory);
  printFigures(title, { cases, committed, refused });
  expect(refused).toBeGreaterThan(0);
  expect(committed).toBeGreaterThan(0);
}

inMemory('a full tmpfs', () => {
  it('never gets a torn file: the commit is refused, and lands when there is room again', async () => {
    mounts = await Mounts.create();
    await show('full tmpfs', await mounts.tmpfs(512));
  }, 60_000);
});

onDisk('a full ext4', () => {
  it('never gets a torn file: the commit is refused, and lands when there is room again', async () => {
    mounts = await Mounts.create();
    await show('full ext4', await mounts.ext4(await mounts.makeImage(2)));
  }, 60_000);
});
