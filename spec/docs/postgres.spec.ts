/** The demo and the example that need a Postgres. */
import { execFile } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { describeWithPostgres } from '../support/describe-postgres.js';
import { PostgresServer, WITH_SERVER_MS } from '../support/postgres-server.js';
import { inTemporaryFolder, root } from '../support/run-example.js';

const run = promisify(execFile);

describeWithPostgres('the docs on a Postgres', () => {
  let server: PostgresServer;
  beforeAll(async () => {
    server = await PostgresServer.start();
  }, WITH_SERVER_MS);
  afterAll(async () => {
    await server?.remove();
  });

  const node = (file: string, args: readonly string[], env: NodeJS.ProcessEnv) =>
    run(process.execPath, ['--import', 'tsx', file, ...args], {
      cwd: root,
      env: { ...process.env, TSX_TSCONFIG_PATH: 'tsconfig.json', NO_COLOR: '1', ...env },
      timeout: WITH_SERVER_MS,
    });

  it(
    'have an example that prints what it says',
    async () => {
      const file = path.join(root, 'docs/examples/postgres/exactly-once.ts');
      const promised = /\/\* Prints:\n([\s\S]*?)\*\/\n$/.exec(await readFile(file, 'utf8'))?.[1];
      const { stdout, stderr } = await node(file, [], { DATABASE_URL: server.url() });
      expect({ stdout, stderr }).toEqual({ stdout: promised, stderr: '' });
    },
    WITH_SERVER_MS,
  );

  it(
    'have a demo that loses nothing and repeats nothing',
    async () => {
      await inTemporaryFolder(async (folder) => {
        const file = path.join(folder, 'items.jsonl');
        const lines = Array.from({ length: 300 }, (_, id) => JSON.stringify({ id }));
        await writeFile(file, lines.join('\n'));
        const args = ['--file', file, '--store', server.url(), '--kills', '2', '--seed', '5'];
        const { stdout, stderr } = await node('docs/examples/demo/main.ts', args, { TMPDIR: folder });
        expect(stderr).toBe('');
        expect(stdout).toContain('Nothing was lost and nothing was done twice');
      });
    },
    WITH_SERVER_MS,
  );
});
