import { execFile } from 'node:child_process';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';

const run = promisify(execFile);

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'demo-spec-'));
});
afterAll(async () => {
  await rm(folder, { recursive: true, force: true });
});

function demo(...args: string[]): Promise<{ stdout: string; stderr: string }> {
  // tsx takes `streamweave-offset` from lib/ here, by the paths of tsconfig.json; `npm run demo` takes it from dist/.
  return run(process.execPath, ['--import', 'tsx', 'docs/examples/demo/main.ts', ...args], {
    env: { ...process.env, TSX_TSCONFIG_PATH: 'tsconfig.json', TMPDIR: folder },
    timeout: 60_000,
  });
}

describe('the demo with a database', () => {
  it('loses nothing and repeats nothing, and starts over in the same database', async () => {
    const file = join(folder, 'items.jsonl');
    const lines = Array.from({ length: 300 }, (_, id) => JSON.stringify({ id, name: 'é'.repeat(id % 17) }));
    await writeFile(file, lines.join('\n'));
    const store = `sqlite:${join(folder, 'demo.db')}`;
    for (const kills of ['2', '0']) {
      const { stdout, stderr } = await demo(
        '--file',
        file,
        '--store',
        store,
        '--kills',
        kills,
        '--seed',
        '5',
      );
      expect(stderr).toBe('');
      const row = stdout.split('\n').findLast((line) => line.startsWith('exactly once '));
      expect(row?.trim().split(/ {2,}| (?=\d)/)).toMatchObject({
        1: '300',
        2: '300',
        3: '0',
        4: '0',
        5: '0',
        6: '0',
        8: kills,
      });
      expect(stdout).toContain(
        kills === '0' ? 'Nothing was lost' : 'Nothing was lost and nothing was done twice',
      );
    }
    expect((await readdir(folder)).filter((name) => name.startsWith('streamweave'))).toEqual([]);
  }, 60_000);

  it('has no wrong order', async () => {
    await expect(demo('--store', 'sqlite:never-made.db', '--wrong-order')).rejects.toMatchObject({
      code: 2,
      stderr: expect.stringContaining('--wrong-order'),
    });
  }, 30_000);
});
