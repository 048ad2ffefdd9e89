import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { Random } from '../support/fire-random.js';

const KILLS = 2;
const LINES = 3_000;
/** How many items there are to a commit. */
const PERIOD = 20;
/** What waits in commitOffsets() to be recorded, at most. */
const BUFFER = 16;

let directory: string;
const running = new Set<ChildProcess>();
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'streamweave-offset-kill-'));
});
afterAll(() => {
  for (const child of running) child.kill('SIGKILL');
  rmSync(directory, { recursive: true, force: true });
});

const sizeOf = (path: string): number => statSync(path, { throwIfNoEntry: false })?.size ?? 0;

/** Runs the worker to its end, or kills it once what is done has that size; tells how it ended. */
async function run(args: readonly string[], killAtBytes?: number): Promise<number | NodeJS.Signals> {
  const child = spawn(process.execPath, ['--import', 'tsx', 'spec/support/stream-worker.ts', ...args], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  running.add(child);
  const exit = once(child, 'exit') as Promise<[number | null, NodeJS.Signals | null]>;
  while (child.exitCode === null && child.signalCode === null) {
    if (killAtBytes !== undefined && sizeOf(args[1]!) >= killAtBytes) child.kill('SIGKILL');
    await sleep(1);
  }
  const [code, signal] = await exit;
  running.delete(child);
  return signal ?? code!;
}

it(`a process that is killed ${KILLS} times skips nothing, and repeats no more than its bound`, async () => {
  const lines = join(directory, 'lines');
  const done = join(directory, 'done');
  const expected = Array.from({ length: LINES }, (_, k) => `line ${k} ${'é'.repeat(k % 7)}`);
  writeFileSync(lines, expected.join('\n'));
  const args = [lines, done, join(directory, 'offsets.json'), String(PERIOD)];
  const random = new Random(20_240_321);
  for (let kills = 0; kills < KILLS; kills++) {
    // Up to a seventh of the file each time. Where the worker was too fast for that, it is killed at its end.
    const more = 1 + random.below(sizeOf(lines) / 7);
    const at = Math.min(sizeOf(done) + more, sizeOf(lines));
    expect(await run([...args, 'hold'], at)).toBe('SIGKILL');
  }
  expect(await run(args)).toBe(0);

  const written = readFileSync(done, 'utf8').split('\n');
  expect(written.pop()).toBe('');
  const times = new Map<string, number>();
  for (const line of written) times.set(line, (times.get(line) ?? 0) + 1);
  expect(expected.filter((line) => !times.has(line))).toEqual([]);
  expect(times.size).toBe(LINES);
  expect(written.length - LINES).toBeLessThanOrEqual(KILLS * (PERIOD + BUFFER));
}, 120_000);
