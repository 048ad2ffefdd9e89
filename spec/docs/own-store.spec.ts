import { spawnSync } from 'node:child_process';
import { expect, it } from '@jest/globals';
import { root } from '../support/run-example.js';

it('the store of the guide holds the contract', () => {
  const args = [
    '--import',
    'tsx',
    '--test',
    '--test-reporter=tap',
    'docs/examples/own-store/lmdb-store.test.ts',
  ];
  const env = { ...process.env, TSX_TSCONFIG_PATH: 'tsconfig.json', NODE_TEST_CONTEXT: undefined };
  const { status, stdout } = spawnSync(process.execPath, args, { cwd: root, encoding: 'utf8', env });
  expect(stdout).toContain('# fail 0\n');
  expect(Number(/^# pass (\d+)$/m.exec(stdout)?.[1])).toBeGreaterThan(80);
  expect(status).toBe(0);
}, 60_000);
