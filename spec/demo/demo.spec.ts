import { type ChildProcess, fork, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, jest } from '@jest/globals';
import type { Job } from '../../docs/examples/demo/job.js';

jest.setTimeout(60_000);

const DEMO = 'docs/examples/demo';

// tsx takes `streamweave-offset` from lib/ here, by the paths of tsconfig.json; `npm run demo` takes it from dist/.
const env = { ...process.env, TSX_TSCONFIG_PATH: 'tsconfig.json' };

/** Of one test. */
let folder: string;
/** Where the demo makes its own folder, and tsx keeps what it has compiled; of all tests. */
let temporary: string;
const children: ChildProcess[] = [];

beforeAll(async () => {
  temporary = await mkdtemp(join(tmpdir(), 'demo-spec-tmp-'));
});

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'demo-spec-'));
});

afterEach(async () => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
  await rm(folder, { recursive: true, force: true });
});

afterAll(async () => {
  await rm(temporary, { recursive: true, force: true });
});

/** What runs of the demo have left behind. */
async function leftBehind(): Promise<string[]> {
  return (await readdir(temporary)).filter((name) => name.startsWith('streamweave'));
}

interface Run {
  readonly child: ChildProcess;
  readonly stdout: () => string;
  readonly ended: Promise<{ code: number | null; stdout: string; stderr: string }>;
}

function demo(...args: string[]): Run {
  const child = spawn(process.execPath, ['--import', 'tsx', `${DEMO}/main.ts`, ...args], {
    env: { ...env, TMPDIR: temporary },
  });
  children.push(child);
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  const ended = once(child, 'close').then(([code]) => ({ code: code as number | null, stdout, stderr }));
  return { child, stdout: () => stdout, ended };
}

/** Lines of different lengths and shapes; multi-byte characters, CRLF, and no newline at the end. */
async function writeItems(count: number): Promise<string> {
  const path = join(folder, 'items.jsonl');
  const lines = Array.from({ length: count }, (_, id) =>
    JSON.stringify(id % 3 === 0 ? { id, name: 'é'.repeat(id % 17) } : id % 3 === 1 ? { id } : [id]),
  );
  await writeFile(path, lines.join('\r\n'));
  return path;
}

/** The cells of a strategy's line in the closing table. */
function row(stdout: string, strategy: string): string[] {
  const line = stdout.split('\n').findLast((text) => text.startsWith(`${strategy} `));
  return line?.trim().split(/\s+/) ?? [];
}

describe('the demo', () => {
  // The seeds are those whose kills come early enough for a parent that is late to look.
  it('kills a worker three times and loses nothing', async () => {
    const file = await writeItems(5000);
    const options = ['--kills', '3', '--strategy', 'periodic:50', '--seed', '27'];
    const { code, stdout, stderr } = await demo('--file', file, ...options).ended;
    expect(stderr).toBe('');
    expect(code).toBe(0);
    expect(stdout.match(/^periodic:50 +kill [123] of 3 at \d+%: /gm)).toHaveLength(3);
    const [, itemsIn, itemsOut, lost, repeated, worst, bound, commits, kills] = row(stdout, 'periodic:50');
    expect([itemsIn, itemsOut, lost, bound, kills]).toEqual(['5,000', '5,000', '0', '50', '3']);
    expect(Number(worst)).toBeLessThanOrEqual(50);
    expect(Number(repeated)).toBeLessThanOrEqual(150);
    expect(Number(commits)).toBeGreaterThan(90);
    expect(stdout).toContain('Nothing was lost');
    expect(stdout).toContain('--seed 27');
    // A pipe gets no colours, no cursor movements and no bar.
    // oxlint-disable-next-line no-control-regex -- they are what must not be there
    expect(stdout).not.toMatch(/[\u001b\r\u2588]/);
    expect(await leftBehind()).toEqual([]);
  });

  it('keeps the offsets where it is told to, and starts over in the same store', async () => {
    const store = `file:${join(folder, 'kept', 'offsets.json')}`;
    const file = await writeItems(50);
    const args = ['--file', file, '--kills', '0', '--strategy', 'auto,eager', '--store', store];
    for (let time = 0; time < 2; time++) {
      const { code, stdout } = await demo(...args).ended;
      expect(code).toBe(0);
      expect(row(stdout, 'auto').slice(1, 4)).toEqual(['50', '50', '0']);
      expect(row(stdout, 'eager').slice(1, 4)).toEqual(['50', '50', '0']);
    }
    expect(await readdir(join(folder, 'kept'))).toEqual(['offsets.json']);
  });

  it('shows with --wrong-order how items are lost, and exits with 1', async () => {
    const file = await writeItems(1000);
    const options = ['--kills', '2', '--strategy', 'periodic:20', '--seed', '3', '--wrong-order'];
    const { code, stdout } = await demo('--file', file, ...options).ended;
    expect(code).toBe(1);
    expect(Number(row(stdout, 'periodic:20')[3])).toBeGreaterThan(0);
    expect(stdout).toMatch(/^periodic:20: \d+ items? of the input never came out\.$/m);
    expect(stdout).toContain('Items lost: ');
    expect(stdout).not.toContain('Nothing was lost');
  });

  it('exits with 2 and a message for what it cannot do', async () => {
    const path = await writeItems(2);
    const torn = join(folder, 'torn.jsonl');
    await writeFile(torn, '{"id":1}\n{"id":\n');
    const runs = await Promise.all([
      demo('--strategy', 'sometimes').ended,
      demo('--file', path, '--store', 'redis://localhost').ended,
      demo('--file', join(folder, 'missing')).ended,
      demo('--file', torn).ended,
    ]);
    expect(runs.map(({ code }) => code)).toEqual([2, 2, 2, 2]);
    expect(runs.map(({ stdout }) => stdout)).toEqual(['', '', '', '']);
    expect(runs[0].stderr).toContain('Expected a strategy: auto, eager,');
    expect(runs[1].stderr).toMatch(/Expected a store as file:PATH or .+, got "redis:\/\/localhost"/);
    expect(runs[2].stderr).toContain('ENOENT');
    expect(runs[3].stderr).toContain(`Line 2 of ${torn} is not JSON`);
    expect(await leftBehind()).toEqual([]);
  });

  it('exits with 1 and tells why, where the store is none', async () => {
    const other = join(folder, 'other');
    await writeFile(other, 'not a store');
    const { code, stderr } = await demo('--file', await writeItems(2), '--store', `file:${other}`).ended;
    expect(code).toBe(1);
    expect(stderr).toContain(other);
    expect(await readFile(other, 'utf8')).toBe('not a store');
  });

  it('cleans up when it is interrupted', async () => {
    const run = demo('--file', await writeItems(3000), '--kills', '1000', '--strategy', 'interval:5');
    while (!run.stdout().includes('kill 1 of')) await once(run.child.stdout!, 'data');
    run.child.kill('SIGINT');
    expect((await run.ended).code).toBe(130);
    expect(await leftBehind()).toEqual([]);
  });
});

describe('the worker', () => {
  const job = async (): Promise<Job> => ({
    input: await writeItems(100),
    output: join(folder, 'output.jsonl'),
    store: `file:${join(folder, 'offsets.json')}`,
    source: 'items',
    strategy: 'auto',
    rest: undefined,
  });

  const start = (what: Job): ChildProcess => {
    const worker = fork(`${DEMO}/worker.ts`, [JSON.stringify(what)], { env, execArgv: ['--import', 'tsx'] });
    children.push(worker);
    return worker;
  };

  it('ends when its parent does', async () => {
    const worker = start({ ...(await job()), rest: { everyItems: 2, ms: 60_000 } });
    // The first item is committed, and the second takes a minute.
    await once(worker, 'message');
    worker.disconnect();
    expect(await once(worker, 'exit')).toEqual([1, null]);
  });

  it('cuts a torn line off before it goes on', async () => {
    const what = await job();
    await writeFile(what.output, '{"offset":1,"group":"x","val');
    expect(await once(start(what), 'exit')).toEqual([0, null]);
    const lines = (await readFile(what.output, 'utf8')).split('\n').slice(0, -1);
    expect(lines).toHaveLength(100);
    expect(() => lines.map((line) => JSON.parse(line) as unknown)).not.toThrow();
  });
});
