import { appendFileSync, closeSync, fstatSync, ftruncateSync, openSync, readSync } from 'node:fs';
import { setImmediate as turn, setTimeout as delay } from 'node:timers/promises';
import type { Job } from './job.js';

/** What an item comes to: the group that it is counted in, and the number that it adds there. */
export interface Summary {
  readonly group: string;
  readonly value: number;
}

/** One line of the output file: what was made of the item that ends at `offset` of the input. */
export interface OutputLine extends Summary {
  readonly offset: number;
}

/**
 * A flight's delay, grouped by distance and by hour; of any other JSON, its size grouped by its shape.
 *
 * @throws SyntaxError for what is not JSON
 */
export function summarise(line: string): Summary {
  if (line.trim() === '') return { group: 'blank', value: 0 };
  const item: unknown = JSON.parse(line);
  if (typeof item !== 'object' || item === null) return { group: typeof item, value: line.length };
  if (Array.isArray(item)) return { group: 'array', value: line.length };
  const { delay, distance, time } = item as Record<string, unknown>;
  if (typeof delay === 'number' && typeof distance === 'number' && typeof time === 'number') {
    const band = Math.floor(distance / 500) * 500;
    return { group: `${band} to ${band + 499} miles, ${Math.floor(time)} h`, value: delay };
  }
  return { group: `object of ${Object.keys(item).length} fields`, value: line.length };
}

/** The work of a worker: each item is parsed, summarised, and appended to the output file. */
export class Work {
  readonly #fd: number;
  readonly #rest: Job['rest'];
  #items = 0;

  constructor(job: Job) {
    this.#fd = openSync(job.output, 'a+');
    cutTornLine(this.#fd);
    this.#rest = job.rest;
  }

  /**
   * Does one item. When this resolves the line is with the operating system, which a killed process cannot take
   * back; to survive a power failure too it would have to be flushed (fsync) before the item is recorded.
   */
  async do(line: string, offset: bigint): Promise<void> {
    const result: OutputLine = { offset: Number(offset), ...summarise(line) };
    appendFileSync(this.#fd, `${JSON.stringify(result)}\n`);
    this.#items++;
    if (this.#rest !== undefined && this.#items % this.#rest.everyItems === 0) await delay(this.#rest.ms);
    // As work that waits for something would, this lets the event loop turn: commits go on beside it.
    else await turn();
  }

  close(): void {
    closeSync(this.#fd);
  }
}

/**
 * A process that dies while it writes may leave half a line. Its item was not recorded, so it will be done again;
 * what must not happen is that the next line is glued to the torn one.
 */
function cutTornLine(fd: number): void {
  const block = Buffer.alloc(4096);
  for (let end = fstatSync(fd).size; end > 0;) {
    const start = Math.max(0, end - block.length);
    const lineFeed = block.subarray(0, readSync(fd, block, 0, end - start, start)).lastIndexOf('\n');
    if (lineFeed >= 0) {
      ftruncateSync(fd, start + lineFeed + 1);
      return;
    }
    end = start;
  }
  ftruncateSync(fd, 0);
}
