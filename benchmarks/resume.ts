import { createReadStream } from 'node:fs';
import { open } from 'node:fs/promises';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { Offset, readLines } from 'streamweave-offset';
import type { Bench, Suite } from './harness/bench.js';

/** A file of numbered lines, some 100 bytes each, as logs and exports have them. */
async function writeLines(file: string, bytes: number): Promise<{ size: number; lines: number }> {
  const handle = await open(file, 'w');
  let size = 0;
  let lines = 0;
  while (size < bytes) {
    const parts: string[] = [];
    for (let i = 0; i < 10_000; i++) {
      const id = lines++;
      parts.push(
        `{"id":${id},"user":"user-${id % 9973}","action":"view","page":"/products/${id % 4999}","ms":${id % 700}}\n`,
      );
    }
    const chunk = Buffer.from(parts.join(''));
    await handle.write(chunk);
    size += chunk.length;
  }
  await handle.close();
  return { size, lines };
}

/** Where the first line that begins at or after the byte ends; reads no more than that. */
async function endOfLineAfter(file: string, byte: number): Promise<bigint> {
  const handle = await open(file);
  const buffer = Buffer.alloc(4096);
  await handle.read(buffer, 0, buffer.length, byte);
  await handle.close();
  return BigInt(byte + buffer.indexOf(0x0a) + 1);
}

async function run(bench: Bench): Promise<void> {
  const folder = await bench.folder();
  const file = path.join(folder, 'lines.jsonl');
  const { size, lines } = await writeLines(file, bench.pick(100, 20) * 1e6);
  const readline = 'readline.createInterface, for await';
  const ours = 'readLines, with the offset of each line';
  const reading = await bench.compare(
    `lines of a file of ${Math.round(size / 1e6)} MB`,
    [
      {
        name: readline,
        prepare: () => ({
          run: async () => {
            let count = 0;
            for await (const line of createInterface({
              input: createReadStream(file),
              crlfDelay: Infinity,
            })) {
              if (line.length > 0) count++;
            }
            if (count !== lines) throw new Error(`Expected ${lines} lines, got ${count}`);
            return count;
          },
        }),
      },
      {
        name: ours,
        prepare: () => ({
          run: async () => {
            let count = 0;
            let last: Offset | undefined;
            for await (const { line, offset } of readLines(file)) {
              if (line.length > 0) count++;
              last = offset;
            }
            if (count !== lines) throw new Error(`Expected ${lines} lines, got ${count}`);
            if (last?.kind !== 'sequence' || last.value !== BigInt(size)) {
              throw new Error('Expected the last offset to be the size of the file');
            }
            return count;
          },
        }),
      },
    ],
    bench.pick(11, 3),
  );
  bench.atLeast('readLines against readline with for await (lines/s)', reading.between(ours, readline), 1.2);

  const large = path.join(folder, 'large.jsonl');
  const { size: largeSize } = await writeLines(large, bench.pick(1000, 100) * 1e6);
  const resuming = (name: string, share: number) => ({
    name,
    prepare: async () => {
      const after = Offset.sequence(await endOfLineAfter(large, Math.floor(largeSize * share)));
      return {
        run: async () => {
          const repeats = 20;
          for (let i = 0; i < repeats; i++) {
            let count = 0;
            for await (const { line } of readLines(large, { after })) {
              if (line.length > 0 && ++count === 100) break;
            }
          }
          return repeats;
        },
      };
    },
  });
  const near = 'resume after 1 % of the file, and 100 lines';
  const far = 'resume after 99 % of the file, and 100 lines';
  const resumed = await bench.compare(
    `resume in a file of ${Math.round(largeSize / 1e6)} MB`,
    [resuming(near, 0.01), resuming(far, 0.99)],
    bench.pick(21, 5),
  );
  bench.atMost('resume near the end, against near the start (time)', resumed.between(near, far), 1.25);
}

export const resume: Suite = {
  name: 'resume',
  question: 'How fast are lines read with their offsets, and what does it cost to go on in a large file?',
  run,
};
