import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { appendFileSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import fsp, { type FileHandle } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable, Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { setImmediate } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { afterAll, afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import * as fc from 'fast-check';
import type { Checkpoint } from '../../lib/checkpoint.js';
import { InvalidOffsetError, OffsetIoError } from '../../lib/errors.js';
import { Offset, type SequenceOffset } from '../../lib/offset.js';
import { type FileLine, readLines, type ReadLinesOptions } from '../../lib/sources/lines.js';
import { failure } from '../support/stream-helpers.js';

const folder = mkdtempSync(join(tmpdir(), 'lines-'));
let made = 0;

afterAll(() => rmSync(folder, { recursive: true, force: true }));

function file(content: string | Buffer): string {
  const path = join(folder, `${++made}.txt`);
  writeFileSync(path, content);
  return path;
}

/** Every handle that was opened, and what was asked of it, so that each test shows that all were closed. */
const handles: FileHandle[] = [];
const reads: { position: number; result: Promise<unknown> }[] = [];
let failReadsFrom = Number.POSITIVE_INFINITY;

beforeEach(() => {
  handles.length = 0;
  reads.length = 0;
  failReadsFrom = Number.POSITIVE_INFINITY;
  const open = fsp.open;
  jest.spyOn(fsp, 'open').mockImplementation(async (...args) => {
    const handle = await open(...args);
    const read = handle.read.bind(handle) as (...args: unknown[]) => ReturnType<FileHandle['read']>;
    const spied = (...args: unknown[]): ReturnType<typeof read> => {
      const result =
        reads.length >= failReadsFrom
          ? Promise.reject(Object.assign(new Error('i/o'), { code: 'EIO' }))
          : read(...args);
      reads.push({ position: args[3] as number, result });
      return result;
    };
    handle.read = spied;
    handles.push(handle);
    return handle;
  });
});

afterEach(() => {
  jest.restoreAllMocks();
  expect(handles.filter((handle) => handle.fd !== -1)).toEqual([]);
});

async function all(path: string | URL, options?: ReadLinesOptions): Promise<FileLine[]> {
  const lines: FileLine[] = [];
  for await (const line of readLines(path, options)) lines.push(line);
  return lines;
}

const plain = (lines: readonly FileLine[]): [string, number][] =>
  lines.map(({ line, offset }) => [line, Number(offset.value)]);

const checkpoint = ({ offset, metadata }: FileLine): Checkpoint => ({
  offset,
  epoch: 0,
  metadata,
  committedAt: new Date(0),
});

/** Another reading of the same rules, on the whole content at once. */
function expected(content: Buffer): [string, number][] {
  const lines: [string, number][] = [];
  let from = content.indexOf('\uFEFF') === 0 ? 3 : 0;
  while (from < content.length) {
    const feed = content.indexOf('\n', from);
    const end = feed < 0 ? content.length : feed + 1;
    const text = content.toString('utf8', from, end).replace(/\r?\n$/, '');
    lines.push([text, end]);
    from = end;
  }
  return lines;
}

const piece = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom('\n', '\r\n', '\n\n', '\r\n\r\n') },
  { weight: 1, arbitrary: fc.constantFrom('\r', '\uFEFF', '\u2028', '\0', '\v', '\u0085') },
  { weight: 3, arbitrary: fc.string({ maxLength: 20 }) },
  { weight: 2, arbitrary: fc.string({ unit: 'grapheme', maxLength: 8 }) },
  { weight: 1, arbitrary: fc.constantFrom('é', '語', '🙂', '{"id":1}') },
);
const content = fc
  .tuple(fc.boolean(), fc.array(piece, { maxLength: 30 }))
  .map(([bom, pieces]) => Buffer.from((bom ? '\uFEFF' : '') + pieces.join('')));
const chunkBytes = fc.oneof(fc.integer({ min: 1, max: 9 }), fc.integer({ min: 10, max: 400 }));

describe('the lines of a file', () => {
  it('come with the byte position just past them', async () => {
    const path = file('one\nzwei ü\r\n\n語\r\nend');
    expect(plain(await all(path))).toEqual([
      ['one', 4],
      ['zwei ü', 13],
      ['', 14],
      ['語', 19],
      ['end', 22],
    ]);
  });

  it('end at \\n and \\r\\n only', async () => {
    expect(plain(await all(file('a\rb\n\rc\r\r\nd\u2028e\u0085f\vg\n')))).toEqual([
      ['a\rb', 4],
      ['\rc\r', 9],
      ['d\u2028e\u0085f\vg', 20],
    ]);
  });

  it('include a last one without terminator, and no empty one after a terminator', async () => {
    expect(plain(await all(file('a\nb')))).toEqual([
      ['a', 2],
      ['b', 3],
    ]);
    expect(plain(await all(file('a\nb\n')))).toHaveLength(2);
    expect(plain(await all(file('abc\r')))).toEqual([['abc\r', 4]]);
  });

  it('are none in an empty file, and in one that has only a byte order mark', async () => {
    expect(await all(file(''))).toEqual([]);
    expect(await all(file('\uFEFF'))).toEqual([]);
  });

  it('have no byte order mark before the first, and keep U+FEFF elsewhere', async () => {
    for (const chunkBytes of [1, 2, 3, 4, 65_536]) {
      expect(plain(await all(file('\uFEFFa\n\uFEFFb\n'), { chunkBytes }))).toEqual([
        ['a', 5],
        ['\uFEFFb', 10],
      ]);
    }
  });

  it('come from a file: URL, and from a path with any characters', async () => {
    const path = join(folder, 'ü #%20?.txt');
    writeFileSync(path, 'a\n');
    expect(plain(await all(pathToFileURL(path)))).toEqual([['a', 2]]);
    expect(plain(await all(path))).toEqual([['a', 2]]);
  });

  it('all share one frozen metadata object with the fingerprint', async () => {
    const bytes = Buffer.from(`${'x'.repeat(700)}\n${'y'.repeat(700)}\nz\n`);
    const [a, b, c] = await all(file(bytes));
    expect(a?.metadata).toEqual({
      fingerprint: createHash('sha256').update(bytes.subarray(0, 1024)).digest('hex'),
      fingerprintBytes: 1024,
    });
    expect(Object.isFrozen(a?.metadata)).toBe(true);
    expect(b?.metadata).toBe(a?.metadata);
    expect(c?.metadata).toBe(a?.metadata);
    const [short] = await all(file('abc\n'));
    expect(short?.metadata).toMatchObject({ fingerprintBytes: 4 });
  });
});

describe('for any content and any chunk size', () => {
  it('the lines are those of the rules', async () => {
    await fc.assert(
      fc.asyncProperty(content, chunkBytes, async (bytes, chunkBytes) => {
        expect(plain(await all(file(bytes), { chunkBytes }))).toEqual(expected(bytes));
      }),
      { numRuns: 300 },
    );
  });

  it('the lines of many chunks are those of the rules, whether a chunk is ASCII, UTF-8, or holds other bytes too', async () => {
    const rows = Array.from({ length: 6000 }, (_, i) => {
      const text = i % 2000 < 900 ? 'plain'.repeat(i % 7) : 'é語🙂'.repeat(i % 7);
      return Buffer.from(`${i} ${text}${i % 3 ? '\n' : '\r\n'}`);
    });
    const utf8 = Buffer.concat(rows);
    rows[3100] = Buffer.from([0xff, 0x0a]);
    const mixed = Buffer.concat(rows);
    for (const chunkBytes of [500, 4096, 65_536]) {
      expect(plain(await all(file(utf8), { chunkBytes }))).toEqual(expected(utf8));
      expect(plain(await all(file(mixed), { chunkBytes, invalidUtf8: 'replace' }))).toEqual(expected(mixed));
    }
  });

  it('a run after the k-th line delivers exactly the rest', async () => {
    await fc.assert(
      fc.asyncProperty(content, chunkBytes, chunkBytes, async (bytes, first, second) => {
        const path = file(bytes);
        const whole = await all(path, { chunkBytes: first });
        for (const [k, line] of whole.entries()) {
          const rest = plain(whole.slice(k + 1));
          expect(plain(await all(path, { after: checkpoint(line), chunkBytes: second }))).toEqual(rest);
          expect(plain(await all(path, { after: line.offset }))).toEqual(rest);
        }
      }),
      { numRuns: 60 },
    );
  });

  it('a file that grows between runs, cut at any byte, gives each line once with `hold`', async () => {
    await fc.assert(
      fc.asyncProperty(content, chunkBytes, fc.nat(), async (bytes, chunkBytes, at) => {
        const cut = at % (bytes.length + 1);
        const path = file(bytes.subarray(0, cut));
        const before = await all(path, { chunkBytes, lastLine: 'hold' });
        appendFileSync(path, bytes.subarray(cut));
        const last = before.at(-1);
        const after = await all(path, { chunkBytes, after: last && checkpoint(last) });
        expect(plain([...before, ...after])).toEqual(expected(bytes));
      }),
      { numRuns: 200 },
    );
  });

  it('with `deliver` the lines go on after what was delivered, or an error says that the last one grew', async () => {
    await fc.assert(
      fc.asyncProperty(content, chunkBytes, fc.nat(), async (bytes, chunkBytes, at) => {
        const cut = at % (bytes.length + 1);
        const path = file(bytes.subarray(0, cut));
        const before = await all(path, { chunkBytes, invalidUtf8: 'replace' });
        appendFileSync(path, bytes.subarray(cut));
        const last = before.at(-1);
        const rest = bytes.toString('latin1', cut);
        const run = all(path, { chunkBytes, after: last && checkpoint(last) });
        const unterminated = last !== undefined && bytes[cut - 1] !== 0x0a;
        if (unterminated && !/^(?:$|\r?\n|\r$)/.test(rest)) {
          expect(await failure(run)).toBeInstanceOf(InvalidOffsetError);
        } else {
          const whole = expected(bytes);
          expect(plain(await run)).toEqual(
            whole.filter((_, k) => (whole[k - 1]?.[1] ?? (last ? 0 : cut)) >= cut),
          );
        }
      }),
      { numRuns: 300 },
    );
  });
});

describe('going on after an offset', () => {
  it('starts at the first line for nothing, earliest and sequence 0', async () => {
    const path = file('\uFEFFa\nb\n');
    for (const after of [undefined, Offset.earliest, Offset.sequence(0)]) {
      expect(plain(await all(path, { after }))).toEqual([
        ['a', 5],
        ['b', 7],
      ]);
    }
    expect(plain(await all(path, { after: Offset.sequence(3) }))).toHaveLength(2);
  });

  it('delivers nothing of what is there for latest', async () => {
    expect(await all(file('a\nb'), { after: Offset.latest })).toEqual([]);
  });

  it('reads the fingerprint and what comes after the offset, and nothing between', async () => {
    const path = file('0123456789abcde\n'.repeat(10_000));
    const after = Offset.sequence(159_984);
    expect(plain(await all(path, { after }))).toEqual([['0123456789abcde', 160_000]]);
    expect(reads.filter(({ position }) => position >= 1024 && position < 159_983)).toEqual([]);
    expect(reads.length).toBeLessThanOrEqual(6);
  });

  it('takes a terminator that came later for that of the line that is done', async () => {
    for (const terminator of ['\n', '\r\n']) {
      const path = file('a\nb');
      const last = (await all(path)).at(-1) as FileLine;
      const after = checkpoint(last);
      expect(await all(path, { after })).toEqual([]);
      appendFileSync(path, terminator);
      expect(await all(path, { after })).toEqual([]);
      appendFileSync(path, '\nc\n');
      const end = 3 + terminator.length;
      expect(plain(await all(path, { after }))).toEqual([
        ['', end + 1],
        ['c', end + 3],
      ]);
    }
  });

  it('waits for the other half of a terminator that came in two', async () => {
    const path = file('a\nb');
    const after = Offset.sequence(3);
    appendFileSync(path, '\r');
    expect(await all(path, { after })).toEqual([]);
    appendFileSync(path, '\nc\n');
    expect(plain(await all(path, { after }))).toEqual([['c', 7]]);
  });

  it('takes \\n after a last line that ended in \\r for its terminator', async () => {
    const path = file('abc\r');
    const [line] = await all(path);
    appendFileSync(path, '\nd\n');
    expect(plain(await all(path, { after: line?.offset }))).toEqual([['d', 7]]);
  });

  it('is refused where the line that is done was made longer, with what to do', async () => {
    const path = file('first\nsec');
    const last = (await all(path)).at(-1) as FileLine;
    appendFileSync(path, 'ond\n');
    const error = await failure(all(path, { after: last.offset }));
    expect(error).toBeInstanceOf(InvalidOffsetError);
    expect(error).toMatchObject({
      code: 'OFFSET_INVALID',
      message: expect.stringMatching(/end of a line at byte 9 .* Offset\.sequence\(6n\) .* 'hold'/s),
    });
    expect(plain(await all(path, { after: Offset.sequence(6) }))).toEqual([['second', 13]]);
  });

  it('is refused inside any line, and says where that line begins where it is near', async () => {
    const path = file(`abc\ndef\n${'x'.repeat(100_000)}\n`);
    expect(await failure(all(path, { after: Offset.sequence(1) }))).toMatchObject({
      code: 'OFFSET_INVALID',
      message: expect.stringMatching(/begins at byte 0.*Offset\.earliest/s),
    });
    expect(await failure(all(path, { after: Offset.sequence(6) }))).toMatchObject({
      message: expect.stringContaining('Offset.sequence(4n)'),
    });
    expect(await failure(all(path, { after: Offset.sequence(99_999) }))).toMatchObject({
      message: expect.stringContaining('Offset.earliest'),
    });
    const marked = file('\uFEFFabc\n');
    for (const at of [1, 2, 4]) {
      expect(await failure(all(marked, { after: Offset.sequence(at) }))).toBeInstanceOf(InvalidOffsetError);
    }
  });

  it('is refused past the end of the file, as far as offsets go', async () => {
    const path = file('a\nb\n');
    expect(await all(path, { after: Offset.sequence(4) })).toEqual([]);
    for (const after of [5n, 2n ** 53n + 1n, 2n ** 64n - 1n].map(Offset.sequence)) {
      const error = await failure(all(path, { after }));
      expect(error).toBeInstanceOf(InvalidOffsetError);
      expect(error).toMatchObject({
        code: 'OFFSET_INVALID',
        message: expect.stringContaining(`up to 4, the bytes that "${path}" has, got ${after.value}`),
      });
    }
  });
});

describe('a checkpoint with a fingerprint', () => {
  const long = `${'x'.repeat(2000)}\n`;

  it('is taken by the same file, grown or not, also where it was short at first', async () => {
    const path = file('a\nb\n');
    const after = checkpoint((await all(path))[1] as FileLine);
    expect(await all(path, { after })).toEqual([]);
    appendFileSync(path, long);
    const grown = await all(path, { after });
    expect(plain(grown)).toEqual([['x'.repeat(2000), 2005]]);
    expect(grown[0]?.metadata).toMatchObject({ fingerprintBytes: 1024 });
    appendFileSync(path, 'c\n');
    expect(plain(await all(path, { after: checkpoint(grown[0] as FileLine) }))).toEqual([['c', 2007]]);
  });

  it.each([
    ['other bytes', 'a\nB\nc\n'],
    ['fewer bytes', 'a\n'],
    ['none', ''],
  ])('is refused by a file that begins with %s, wherever the offset is', async (_, other) => {
    const path = file('a\nb\n');
    const [first] = await all(path);
    writeFileSync(path, other);
    for (const offset of [first?.offset as Offset, Offset.earliest, Offset.latest]) {
      const error = await failure(all(path, { after: { ...checkpoint(first as FileLine), offset } }));
      expect(error).toBeInstanceOf(InvalidOffsetError);
      expect(error).toMatchObject({
        code: 'OFFSET_INVALID',
        message: expect.stringMatching(/another file, or its beginning was rewritten/),
      });
    }
  });

  it('is judged by its first 1024 bytes', async () => {
    const path = file(`${long}a\n`);
    const after = checkpoint((await all(path))[0] as FileLine);
    const bytes = Buffer.from(`${long}a\n`);
    bytes[1024] = 0x79;
    writeFileSync(path, bytes);
    expect(plain(await all(path, { after }))).toEqual([['a', 2003]]);
    bytes[1023] = 0x79;
    writeFileSync(path, bytes);
    expect(await failure(all(path, { after }))).toBeInstanceOf(InvalidOffsetError);
  });

  it('may hold other metadata beside it', async () => {
    const path = file('a\nb\n');
    const first = (await all(path))[0] as FileLine;
    const after = { ...checkpoint(first), metadata: { ...first.metadata, host: 'h' } };
    expect(plain(await all(path, { after }))).toEqual([['b', 4]]);
    writeFileSync(path, 'z\nb\n');
    expect(await failure(all(path, { after }))).toBeInstanceOf(InvalidOffsetError);
  });

  it('is checked by position alone where there is none in it', async () => {
    const path = file('a\nb\n');
    for (const metadata of [undefined, {}, { host: 'h' }, { fingerprint: 'mine' }]) {
      const after: Checkpoint = { offset: Offset.sequence(2), epoch: 3, committedAt: new Date(), metadata };
      expect(plain(await all(path, { after }))).toEqual([['b', 4]]);
    }
  });

  it.each([
    { fingerprint: 'ab', fingerprintBytes: 4 },
    { fingerprint: 'a'.repeat(64), fingerprintBytes: -1 },
    { fingerprint: 'a'.repeat(64), fingerprintBytes: 1025 },
    { fingerprint: 'a'.repeat(64), fingerprintBytes: 1.5 },
    { fingerprint: 'a'.repeat(64), fingerprintBytes: '4' },
    { fingerprint: 5, fingerprintBytes: 4 },
  ])('is refused where no run made it: %p', (metadata) => {
    const after = { offset: Offset.sequence(2), epoch: 0, committedAt: new Date(), metadata };
    expect(() => readLines('x', { after })).toThrow(InvalidOffsetError);
  });
});

describe('a file that is still being written', () => {
  it('keeps its unterminated last line back with `hold`', async () => {
    const path = file('a\nb');
    const [a, none] = await all(path, { lastLine: 'hold' });
    expect(none).toBeUndefined();
    appendFileSync(path, 'c\r');
    expect(await all(path, { lastLine: 'hold', after: a?.offset })).toEqual([]);
    appendFileSync(path, '\n');
    expect(plain(await all(path, { lastLine: 'hold', after: a?.offset }))).toEqual([['bc', 6]]);
  });

  it('is read to the end that it has when the end is reached, not when it was looked at ahead', async () => {
    const path = file('a\nb');
    const lines = readLines(path);
    expect((await lines.next()).value).toMatchObject({ line: 'a' });
    await Promise.all(reads.map(({ result }) => result));
    appendFileSync(path, 'c\nd\n');
    const rest: FileLine[] = [];
    for await (const line of lines) rest.push(line);
    expect(plain(rest)).toEqual([
      ['bc', 5],
      ['d', 7],
    ]);
  });

  it('is an error when it is cut meanwhile: no torn line', async () => {
    for (const left of [0, 4, 150]) {
      const path = file('0123456789\n'.repeat(20));
      const lines = readLines(path, { chunkBytes: 13 });
      await lines.next();
      truncateSync(path, left);
      const seen: string[] = [];
      const rest = async (): Promise<void> => {
        for await (const { line } of lines) seen.push(line);
      };
      const error = await failure(rest());
      expect(error).toBeInstanceOf(OffsetIoError);
      expect(error).toMatchObject({
        code: 'OFFSET_IO',
        message: expect.stringMatching(/was cut from 220 to \d+ bytes/),
      });
      expect(new Set(seen).size).toBeLessThanOrEqual(1);
    }
  });
});

describe('lines that cannot be', () => {
  it.each([1, 3, 7, 65_536])(
    'are too long beyond maxLineBytes, terminator not counted (chunks of %i)',
    async (chunkBytes) => {
      const options = { chunkBytes, maxLineBytes: 4 };
      expect(plain(await all(file('1234\r\n1234\nab\r\n1234\r'.slice(0, -1)), options))).toHaveLength(4);
      expect(plain(await all(file('1234\r\n'), options))).toEqual([['1234', 6]]);
      for (const text of [
        'ok\n12345\nx\n',
        'ok\n12345\r\nx\n',
        'ok\n12345',
        'ok\n1234\r',
        `ok\n${'x'.repeat(500)}`,
      ]) {
        const seen: string[] = [];
        const path = file(text);
        const run = async (): Promise<void> => {
          for await (const { line } of readLines(path, options)) seen.push(line);
        };
        const error = await failure(run());
        expect(error).toBeInstanceOf(OffsetIoError);
        expect(error).toMatchObject({
          code: 'OFFSET_IO',
          message: expect.stringMatching(/at most 4 bytes .*at byte 3 of .*\.txt"/),
        });
        expect(seen).toEqual(['ok']);
      }
    },
  );

  it('stop the reading early: no more than the limit and some chunks are taken in', async () => {
    const path = file('x'.repeat(100_000));
    await failure(all(path, { maxLineBytes: 1000, chunkBytes: 100, lastLine: 'hold' }));
    expect(reads.length).toBeLessThan(16);
  });

  it('count in bytes', async () => {
    expect(plain(await all(file('語\n'), { maxLineBytes: 3 }))).toEqual([['語', 4]]);
    expect(await failure(all(file('語\n'), { maxLineBytes: 2 }))).toBeInstanceOf(OffsetIoError);
  });

  const latin1 = Buffer.concat([Buffer.from('ü\nb\n'), Buffer.from([0x63, 0xfc, 0x0a]), Buffer.from('d\n')]);

  it.each([1, 2, 65_536])(
    'are an error in place where they are not UTF-8 (chunks of %i)',
    async (chunkBytes) => {
      const path = file(latin1);
      const seen: FileLine[] = [];
      const run = async (): Promise<void> => {
        for await (const line of readLines(path, { chunkBytes })) seen.push(line);
      };
      const error = await failure(run());
      expect(error).toBeInstanceOf(OffsetIoError);
      expect(error).toMatchObject({ message: expect.stringMatching(/byte 5 of .*'replace'/) });
      expect(plain(seen)).toEqual([
        ['ü', 3],
        ['b', 5],
      ]);
      const after = seen.at(-1)?.offset;
      expect(plain(await all(path, { chunkBytes, after, invalidUtf8: 'replace' }))).toEqual([
        ['c\uFFFD', 8],
        ['d', 10],
      ]);
    },
  );

  it('are an error at the end of a file that was cut within a character', async () => {
    expect(await failure(all(file(Buffer.from([0x61, 0x0a, 0xe8, 0xaa]))))).toBeInstanceOf(OffsetIoError);
  });
});

describe('the iterator', () => {
  it('opens nothing before the first line is asked for', async () => {
    const lines = readLines(join(folder, 'missing'));
    expect(await lines.return()).toEqual({ done: true, value: undefined });
    expect(await lines.next()).toEqual({ done: true, value: undefined });
    expect(handles).toHaveLength(0);
  });

  it('closes the file when the loop is left, by break, by an error, and by `await using`', async () => {
    const path = file('a\nb\n'.repeat(100));
    for await (const { line } of readLines(path, { chunkBytes: 8 })) {
      expect(line).toBe('a');
      break;
    }
    const thrown = new Error('work failed');
    const run = async (): Promise<void> => {
      for await (const _ of readLines(path)) throw thrown;
    };
    expect(await failure(run())).toBe(thrown);
    {
      await using lines = readLines(path);
      await lines.next();
    }
    const lines = readLines(path);
    await lines.next();
    expect(await failure(lines.throw(thrown))).toBe(thrown);
    expect(await lines.next()).toEqual({ done: true, value: undefined });
    expect(handles.map(({ fd }) => fd)).toEqual([-1, -1, -1, -1]);
  });

  it('closes the file at its end before the loop is done, and stays at the end', async () => {
    const lines = readLines(file('a'));
    expect(await lines.next()).toMatchObject({ done: false, value: { line: 'a' } });
    expect(handles[0]?.fd).toBe(-1);
    expect(await lines.next()).toEqual({ done: true, value: undefined });
    expect(await lines.next()).toEqual({ done: true, value: undefined });
  });

  it('gives lines in order to calls that do not wait for each other, and to a return() among them', async () => {
    const path = file('a\nb\nc\nd\n');
    for (const chunkBytes of [1, 3, 65_536]) {
      const lines = readLines(path, { chunkBytes });
      const calls = [lines.next(), lines.next(), lines.next(), lines.return(), lines.next()];
      const results = await Promise.all(calls);
      expect(results.map(({ value }) => (value ? value.line : value))).toEqual([
        'a',
        'b',
        'c',
        undefined,
        undefined,
      ]);
    }
  });

  it('lets no call overtake those that wait', async () => {
    const lines = readLines(file('a\nb\nc\n'));
    const first = lines.next();
    const later = first.then(() => lines.next());
    const second = lines.next();
    expect((await second).value).toMatchObject({ line: 'b' });
    expect((await later).value).toMatchObject({ line: 'c' });
    await lines.return();
  });

  it('is over after an error', async () => {
    const lines = readLines(join(folder, 'missing'));
    const [first, second] = await Promise.allSettled([lines.next(), lines.next()]);
    expect(first).toMatchObject({ status: 'rejected', reason: { code: 'OFFSET_IO' } });
    expect(second).toEqual({ status: 'fulfilled', value: { done: true, value: undefined } });
  });

  it('rejects with the reason of an aborted signal: before the start, between lines, and between chunks', async () => {
    const path = file('a\nb\n'.repeat(50));
    const reason = new Error('stop');
    expect(await failure(all(path, { signal: AbortSignal.abort(reason) }))).toBe(reason);
    expect(handles).toHaveLength(0);
    for (const chunkBytes of [2, 65_536]) {
      const controller = new AbortController();
      const lines = readLines(path, { signal: controller.signal, chunkBytes });
      await lines.next();
      controller.abort(reason);
      expect(await failure(lines.next())).toBe(reason);
      expect(await lines.next()).toEqual({ done: true, value: undefined });
    }
    const controller = new AbortController();
    const pending = readLines(path, { signal: controller.signal }).next();
    controller.abort(reason);
    expect(await failure(pending)).toBe(reason);
  });

  it('works as the source of streams', async () => {
    const path = file('a\nb\nc\n');
    const seen: string[] = [];
    const sink = (): Writable =>
      new Writable({
        objectMode: true,
        write({ line }: FileLine, _, done) {
          seen.push(line);
          done();
        },
      });
    await pipeline(readLines(path), sink());
    await pipeline(Readable.from(readLines(path)), sink());
    expect(seen).toEqual(['a', 'b', 'c', 'a', 'b', 'c']);
    for await (const _ of Readable.from(readLines(path))) break;
    const thrown = new Error('sink');
    const failing = new Writable({ objectMode: true, write: (_, __, done) => done(thrown) });
    expect(await failure(pipeline(readLines(file('a\nb\n'.repeat(100))), failing))).toBe(thrown);
    // Streams do not wait until the source that they let go of is closed.
    while (handles.some(({ fd }) => fd !== -1)) await setImmediate();
  });
});

describe('bad input', () => {
  it.each([undefined, null, 5, {}, [], Buffer.from('x'), new URL('http://localhost/x')])(
    'refuses the path %p',
    (path) => {
      expect(() => readLines(path as string)).toThrow(TypeError);
    },
  );

  it('refuses an empty path and one with U+0000', () => {
    expect(() => readLines('')).toThrow(RangeError);
    expect(() => readLines('a\0b')).toThrow(RangeError);
    expect(() => readLines(new URL('file:///a%00b'))).toThrow(RangeError);
  });

  it.each([
    ['options', 5, TypeError],
    ['options', null, TypeError],
    ['lastLine', { lastLine: 'skip' }, TypeError],
    ['invalidUtf8', { invalidUtf8: true }, TypeError],
    ['maxLineBytes', { maxLineBytes: '5' }, TypeError],
    ['maxLineBytes', { maxLineBytes: 0 }, RangeError],
    ['maxLineBytes', { maxLineBytes: Infinity }, RangeError],
    ['chunkBytes', { chunkBytes: 0 }, RangeError],
    ['chunkBytes', { chunkBytes: 1.5 }, RangeError],
    ['chunkBytes', { chunkBytes: 2 ** 31 }, RangeError],
    ['signal', { signal: 'x' }, TypeError],
    ['signal', { signal: null }, TypeError],
  ])('refuses %s: %p', (name, options, type) => {
    const call = (): unknown => readLines('x', options as ReadLinesOptions);
    expect(call).toThrow(type);
    expect(call).toThrow(`\`${name}\``);
  });

  it.each([
    Offset.timestamp(new Date(0)),
    Offset.custom('x'),
    { offset: Offset.custom('x'), epoch: 0, committedAt: new Date(0) },
    {},
    null,
    Number.NaN,
    -1,
    { kind: 'sequence', value: 5 },
    { kind: 'sequence', value: -1n },
    { offset: undefined },
    { offset: { kind: 'nonsense' } },
  ])('refuses to go on after %p', (after) => {
    expect(() => readLines('x', { after: after as SequenceOffset })).toThrow(InvalidOffsetError);
  });

  it('says of a timestamp that lines want a sequence', () => {
    expect(() => readLines('x', { after: Offset.timestamp(new Date(0)) })).toThrow(
      /a sequence .* "timestamp"/,
    );
  });

  it('gives the original error of a file that cannot be opened', async () => {
    const error = await failure(all(join(folder, 'missing')));
    expect(error).toBeInstanceOf(OffsetIoError);
    expect(error).toMatchObject({ code: 'OFFSET_IO', cause: { code: 'ENOENT' } });
    expect((error as Error).message).toMatch(/Could not open ".*missing": ENOENT; check/);
  });

  it('refuses a directory and a device', async () => {
    expect(await failure(all(folder))).toMatchObject({ code: 'OFFSET_IO' });
    if (process.platform !== 'win32') {
      expect(await failure(all('/dev/null'))).toMatchObject({
        code: 'OFFSET_IO',
        message: expect.stringContaining('a device'),
      });
    }
  });

  (process.platform === 'win32' ? it.skip : it)(
    'refuses a FIFO, and does not wait for its writer',
    async () => {
      const path = join(folder, 'fifo');
      execFileSync('mkfifo', [path]);
      expect(await failure(all(path))).toMatchObject({ code: 'OFFSET_IO' });
    },
  );

  it.each([0, 1, 2, 3, 4])(
    'gives the original error of a read that fails, after %i that did not',
    async (good) => {
      failReadsFrom = good;
      const error = await failure(all(file('a\n'.repeat(20)), { chunkBytes: 8 }));
      expect(error).toBeInstanceOf(OffsetIoError);
      expect(error).toMatchObject({ code: 'OFFSET_IO', cause: { code: 'EIO' } });
    },
  );

  it('leaves no unhandled rejection of a read ahead that nobody asks for', async () => {
    const unhandled = jest.fn();
    process.on('unhandledRejection', unhandled);
    try {
      failReadsFrom = 3; // two find the file's beginning and that there is no more of it
      const lines = readLines(file('a\n'.repeat(20)), { chunkBytes: 8 });
      expect(await lines.next()).toMatchObject({ value: { line: 'a' } });
      expect(reads).toHaveLength(4);
      await lines.return();
      await setImmediate();
      expect(unhandled).not.toHaveBeenCalled();
    } finally {
      process.off('unhandledRejection', unhandled);
    }
  });
});
