import { createReadStream, createWriteStream } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { summarise, type Summary } from './work.js';

/** The input of a run, and what a plain pass over it finds: what the workers' output is compared with. */
export interface Input {
  readonly path: string;
  readonly name: string;
  /** What each line comes to, in order. Keys are the positions in bytes just past the lines. */
  readonly items: ReadonlyMap<number, Summary>;
  readonly bytes: number;
}

/** What is wrong with the user's file, in words for the user. */
export class InputError extends Error {}

/** The flights of the vega-datasets package (200,000 in version 3.2), a JSON array, as a file with one flight on each line. */
export async function flightsAsLines(folder: string): Promise<string> {
  const source = new URL('../data/flights-200k.json', import.meta.resolve('vega-datasets'));
  const flights = JSON.parse(await readFile(source, 'utf8')) as unknown[];
  const path = join(folder, 'flights.jsonl');
  await writeFile(path, flights.map((flight) => `${JSON.stringify(flight)}\n`).join(''));
  return path;
}

/**
 * Reads the file once, without the library, so that the check does not rest on what it checks. With a limit, the
 * first lines are copied into the folder and are the input.
 *
 * @throws InputError for a file that cannot be read, has no lines, or one that is not JSON
 */
export async function examine(
  path: string,
  name: string,
  limit: number | undefined,
  folder: string,
): Promise<Input> {
  const items = new Map<number, Summary>();
  let bytes = 0;
  try {
    for await (const { text, end } of linesOf(path)) {
      items.set(end, summarised(text, items.size + 1, path));
      bytes = end;
      if (items.size === limit) break;
    }
    if (items.size === 0) throw new InputError(`Expected lines of JSON in ${path}, and it is empty`);
    if (limit === undefined) return { path, name, items, bytes };
    const copy = join(folder, 'first-lines.jsonl');
    await pipeline(createReadStream(path, { end: bytes - 1 }), createWriteStream(copy));
    return { path: copy, name, items, bytes };
  } catch (error) {
    if (error instanceof InputError) throw error;
    throw new InputError(`Could not read ${path}: ${(error as Error).message}`, { cause: error });
  }
}

function summarised(text: string, lineNumber: number, path: string): Summary {
  try {
    return summarise(text);
  } catch (error) {
    throw new InputError(`Line ${lineNumber} of ${path} is not JSON: ${(error as Error).message}`, {
      cause: error,
    });
  }
}

/** The lines of a file, and where they end. */
async function* linesOf(path: string): AsyncGenerator<{ text: string; end: number }> {
  let rest: Buffer = Buffer.alloc(0);
  let restAt = 0;
  for await (const chunk of createReadStream(path) as AsyncIterable<Buffer>) {
    rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    let start = 0;
    for (let lineFeed; (lineFeed = rest.indexOf('\n', start)) >= 0; start = lineFeed + 1) {
      const text = textOf(rest.subarray(start, lineFeed), restAt + start);
      yield { text: text.replace(/\r$/, ''), end: restAt + lineFeed + 1 };
    }
    rest = rest.subarray(start);
    restAt += start;
  }
  if (rest.length > 0) yield { text: textOf(rest, restAt), end: restAt + rest.length };
}

function textOf(bytes: Buffer, at: number): string {
  const text = bytes.toString('utf8');
  // A byte order mark at the beginning of the file is not part of its first line.
  return at === 0 ? text.replace(/^\uFEFF/, '') : text;
}
