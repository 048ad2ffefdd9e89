import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { describe, expect, it } from '@jest/globals';
import { Offset } from '../../../lib/offset.js';
import { Workshop } from '../../support/file-workshop.js';

const workshop = new Workshop();

class Worker {
  readonly acknowledged = new Map<string, number>();
  readonly process: ChildProcess;
  readonly ready: Promise<void>;
  readonly done: Promise<unknown>;
  stderr = '';

  constructor(path: string, name: string, count: number, lock: string) {
    this.process = spawn(
      process.execPath,
      ['--import', 'tsx', 'spec/support/file-worker.ts', path, name, `${count}`, lock],
      {
        stdio: ['ignore', 'pipe', 'pipe'],
      },
    );
    this.process.stderr?.on('data', (chunk: Buffer) => {
      this.stderr += chunk.toString();
    });
    const lines = createInterface({ input: this.process.stdout as NodeJS.ReadableStream });
    let ready: () => void;
    this.ready = new Promise((resolve) => {
      ready = resolve;
    });
    lines.on('line', (line) => {
      const [source = '', n] = line.split(' ');
      if (source === 'ready') ready();
      else this.acknowledged.set(source, Number(n));
    });
    this.done = Promise.all([once(lines, 'close'), once(this.process, 'exit')]).finally(() => ready());
  }
}

async function check(path: string, workers: readonly Worker[]): Promise<void> {
  const store = workshop.store(path, { lockHoldMs: 0 });
  expect((await store.verify()).status).toBe('ok');
  const offsets = await store.getAll();
  for (const { acknowledged } of workers) {
    for (const [source, n] of acknowledged) {
      const offset = offsets.get(source);
      if (offset?.kind !== 'sequence') throw new Error(`${source} has no offset`);
      expect(Number(offset.value)).toBeGreaterThanOrEqual(n);
    }
  }
  await store.close();
}

describe('processes that share a file', () => {
  it.each(['real', 'none'])(
    'lose nothing (lock: %s)',
    async (lock) => {
      const path = await workshop.path();
      const workers = ['a', 'b', 'c', 'd'].map((name) => new Worker(path, name, 100, lock));
      await Promise.all(workers.map(({ done }) => done));
      expect(workers.map(({ stderr }) => stderr).join('')).toBe('');
      expect(workers.map(({ acknowledged }, index) => acknowledged.get('abcd'.charAt(index)))).toEqual([
        100, 100, 100, 100,
      ]);
      await check(path, workers);
      const shared = await workshop.store(path).get('shared');
      expect(shared).toEqual(Offset.sequence(100));
    },
    60_000,
  );

  it.each(['real', 'none'])(
    'lose nothing when they are killed, and go on (lock: %s)',
    async (lock) => {
      const path = await workshop.path();
      for (let cycle = 0; cycle < 2; cycle++) {
        const workers = ['a', 'b'].map((name) => new Worker(path, name, 0, lock));
        await Promise.all(workers.map(({ ready }) => ready));
        // A moment that no one can foresee, so that every run tries others.
        await new Promise((resolve) => {
          setTimeout(resolve, 50 + Math.random() * 200);
        });
        for (const worker of workers) worker.process.kill('SIGKILL');
        await Promise.all(workers.map(({ done }) => done));
        expect(workers.map(({ stderr }) => stderr).join('')).toBe('');
        await check(path, workers);
      }
      const survivor = workshop.store(path, { lockTimeoutMs: 4000 });
      await survivor.commit('survivor', 1);
      expect(await survivor.get('survivor')).toEqual(Offset.sequence(1));
    },
    60_000,
  );
});
