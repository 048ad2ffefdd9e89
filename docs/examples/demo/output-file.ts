import { closeSync, fstatSync, openSync, readFileSync, readSync, writeFileSync } from 'node:fs';
import type { OutputLine } from './work.js';

const TAIL_BYTES = 4096;

/** The parent's view of the output file, while a worker adds to it. */
export class OutputFile {
  readonly path: string;
  readonly #fd: number;
  readonly #tail = Buffer.alloc(TAIL_BYTES);

  /** Makes it anew, empty. */
  constructor(path: string) {
    this.path = path;
    writeFileSync(path, '');
    this.#fd = openSync(path, 'r');
  }

  get size(): number {
    return fstatSync(this.#fd).size;
  }

  /** The offset of the item that was done last; 0 when there is none. */
  get lastOffset(): number {
    const start = Math.max(0, this.size - TAIL_BYTES);
    const text = this.#tail.toString('utf8', 0, readSync(this.#fd, this.#tail, 0, TAIL_BYTES, start));
    const end = text.lastIndexOf('\n');
    if (end < 0) return 0;
    const line = text.slice(text.lastIndexOf('\n', end - 1) + 1, end);
    return (JSON.parse(line) as OutputLine).offset;
  }

  /** The whole lines; what a killed worker left of a torn one is not among them. */
  lines(): OutputLine[] {
    const whole = readFileSync(this.path, 'utf8').split('\n').slice(0, -1);
    return whole.map((line) => JSON.parse(line) as OutputLine);
  }

  countLines(): number {
    let lines = 0;
    const bytes = readFileSync(this.path);
    for (let at = bytes.indexOf('\n'); at >= 0; at = bytes.indexOf('\n', at + 1)) lines++;
    return lines;
  }

  close(): void {
    closeSync(this.#fd);
  }
}
