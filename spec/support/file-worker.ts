/**
 * A process that commits, for the specs of the file store: `tsx file-worker.ts <path> <name> <count> <lock>`.
 * It commits 1 … count to its own source and tries the same on one that all workers share, and writes a line
 * for each commit that was acknowledged. `lock` is `real` or `none`; a count of 0 goes on until it is killed.
 */
import { writeSync } from 'node:fs';
import { FileOffsetStore } from '../../lib/stores/file/file-store.js';

const [path = '', name = '', count = '0', lock = 'real'] = process.argv.slice(2);

async function main(): Promise<void> {
  const store = new FileOffsetStore(path, {
    lockTimeoutMs: 60_000,
    ...(lock === 'none' ? { lock: { lock: async () => async () => {} } } : undefined),
  });
  const last = Number(count) === 0 ? Number.POSITIVE_INFINITY : Number(count);
  const committed = await store.get(name);
  let n = committed?.kind === 'sequence' ? Number(committed.value) : 0;
  writeSync(1, 'ready\n');
  while (n < last) {
    n += 1;
    await store.commit(name, n);
    // Written at once: a line in a buffer would not survive the kill, and the commit before it does.
    writeSync(1, `${name} ${n}\n`);
    try {
      await store.commit('shared', n);
      writeSync(1, `shared ${n}\n`);
    } catch (error) {
      if ((error as { code?: unknown }).code !== 'OFFSET_BEHIND') throw error;
    }
  }
  await store.close();
}

main().catch((error: unknown) => {
  console.error(error);
  process.exitCode = 1;
});
