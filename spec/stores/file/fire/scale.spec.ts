import { readFileSync } from 'node:fs';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { afterAll, afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { Offset } from '../../../../lib/offset.js';
import { FileOffsetStore } from '../../../../lib/stores/file/file-store.js';
import { Crew, removeWorkerBundle } from '../../../support/fire-crew.js';
import { callsAmong, crowd } from '../../../support/fire-crowd.js';
import { share } from '../../../support/fire-fairness.js';
import { printFigures } from '../../../support/fire-random.js';
import { readStandings } from '../../../support/fire-reader.js';

afterAll(removeWorkerBundle);

describe('eight processes that commit eight sources each, all at once', () => {
  it('all get on: the best does no more than four times what the worst does', async () => {
    await using crew = await Crew.gather();
    const { commits, ratio } = await share(crew, 8, 8, 60);
    printFigures('fairness', {
      processes: 8,
      sources: 64,
      commits: commits.join(' '),
      'best by worst': ratio.toFixed(2),
    });
    expect(Math.min(...commits)).toBeGreaterThan(0);
    expect(ratio).toBeLessThanOrEqual(4);
  }, 60_000);
});

describe('a store', () => {
  let directory: string;

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'fire-scale-'));
  });

  afterEach(async () => {
    await rm(directory, { recursive: true });
  });

  it('takes 10,000 sources', async () => {
    const path = join(directory, 'offsets.json');
    const sources = Array.from({ length: 10_000 }, (_, index) => `source-${index}`);
    await using store = new FileOffsetStore(path);
    await store.commitMany(
      sources.map((source, index) => ({ source, offset: Offset.sequence(BigInt(index)) })),
    );
    await Promise.all(
      sources.map((source, index) => store.commit(source, Offset.sequence(BigInt(index) + 2n ** 60n))),
    );
    await using other = new FileOffsetStore(path);
    expect(await other.get('source-9999')).toEqual(Offset.sequence(2n ** 60n + 9999n));
    expect(await other.verify()).toMatchObject({ status: 'ok', sources: 10_000 });
    const standings = readStandings(readFileSync(path));
    expect(sources.every((source, index) => standings.get(source)?.value === 2n ** 60n + BigInt(index))).toBe(
      true,
    );
  }, 60_000);

  it('asks the same of the file system beside 50,000 foreign files as beside none, and never lists them', async () => {
    const empty = join(directory, 'directory');
    const crowded = join(directory, 'crowded', 'directory');
    await mkdir(empty);
    await mkdir(crowded, { recursive: true });
    crowd(crowded, 50_000);
    const calls = await callsAmong(crowded);
    const lists = calls.filter(({ call }) => call === 'readdir').map(({ path }) => path);
    expect(new Set(lists)).toEqual(new Set(['offsets.json.tmp']));
    // The one directory more is on the way to the root, and flushed when the file is made.
    const outside = new Set(['crowded', basename(directory)]);
    const inside = (all: typeof calls): typeof calls =>
      all.filter(({ path }) => path === 'directory' || path.startsWith('offsets') || path.endsWith('.token'));
    expect(inside(calls)).toEqual(inside(await callsAmong(empty)));
    expect(calls.some(({ path }) => outside.has(path))).toBe(true);
  }, 60_000);
});
