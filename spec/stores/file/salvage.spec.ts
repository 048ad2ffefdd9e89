import { readFile, writeFile } from 'node:fs/promises';
import { describe, expect, it } from '@jest/globals';
import type { Checkpoint } from '../../../lib/checkpoint.js';
import { Offset } from '../../../lib/offset.js';
import type { FileOffsetStore } from '../../../lib/stores/file/file-store.js';
import { recordingFileSystem } from '../../support/file-fs.js';
import { Workshop } from '../../support/file-workshop.js';

const workshop = new Workshop();

/** The lines of sources that a store writes by the work, as text. */
async function linesOf(
  name: string,
  committedAt: string,
  work: (store: FileOffsetStore) => Promise<unknown>,
): Promise<string[]> {
  const store = workshop.store(await workshop.path(name), { now: () => Date.parse(committedAt) });
  await work(store);
  const text = await readFile(store.path, 'utf8');
  return text.split('\n').filter((line) => line.startsWith('{"check"'));
}

/** What `recover()` makes of lines that stand in one file, as where two versions of a file were joined. */
async function recovered(
  lines: readonly string[],
): Promise<{ readonly checkpoint: Checkpoint | undefined; readonly epoch: number }> {
  const path = await workshop.path('joined.json');
  await writeFile(path, `what was here is lost\n${lines.join('\n')}\n`);
  const store = workshop.store(path);
  expect(await store.recover()).toMatchObject({ status: 'recovered', saved: ['a'], lost: [] });
  return { checkpoint: await store.inspect('a'), epoch: await store.epoch('a') };
}

describe('recover(), of two lines for one source', () => {
  it('takes that of the higher epoch, though the other was committed later and lies ahead', async () => {
    const [older] = await linesOf('older', '2026-01-02T00:00:00.000Z', (store) => store.commit('a', 9));
    const [newer] = await linesOf('newer', '2026-01-01T00:00:00.000Z', (store) =>
      store.reset('a', Offset.sequence(3)),
    );
    for (const lines of [
      [older!, newer!],
      [newer!, older!],
    ]) {
      expect(await recovered(lines)).toMatchObject({ epoch: 1, checkpoint: { offset: Offset.sequence(3) } });
    }
  });

  it('takes that which was committed later, of one epoch, though the other lies ahead', async () => {
    const [older] = await linesOf('older', '2026-01-01T00:00:00.000Z', (store) => store.commit('a', 9));
    const [newer] = await linesOf('newer', '2026-01-02T00:00:00.000Z', (store) => store.commit('a', 3));
    for (const lines of [
      [older!, newer!],
      [newer!, older!],
    ]) {
      expect(await recovered(lines)).toMatchObject({ epoch: 0, checkpoint: { offset: Offset.sequence(3) } });
    }
  });

  it('takes that which has an offset, of one epoch: it was committed after the clear', async () => {
    const [cleared] = await linesOf('older', '2026-01-01T00:00:00.000Z', (store) => store.clear('a'));
    const [committed] = await linesOf('newer', '2026-01-01T00:00:00.000Z', (store) =>
      store.reset('a', Offset.sequence(3)),
    );
    for (const lines of [
      [cleared!, committed!],
      [committed!, cleared!],
      [cleared!, committed!, cleared!],
    ]) {
      expect(await recovered(lines)).toMatchObject({ epoch: 1, checkpoint: { offset: Offset.sequence(3) } });
    }
  });

  it('takes a clear over what was committed before it', async () => {
    const [committed] = await linesOf('older', '2026-01-02T00:00:00.000Z', (store) => store.commit('a', 9));
    const [cleared] = await linesOf('newer', '2026-01-01T00:00:00.000Z', (store) => store.clear('a'));
    for (const lines of [
      [cleared!, committed!],
      [committed!, cleared!],
    ]) {
      expect(await recovered(lines)).toEqual({ epoch: 1, checkpoint: undefined });
    }
  });
});

describe('recover(), of a line', () => {
  async function fourLines(): Promise<string[]> {
    return linesOf('offsets.json', '2026-01-01T00:00:00.000Z', (store) =>
      store.commitMany(['a', 'b', 'c', 'd'].map((source) => ({ source, offset: Offset.sequence(1) }))),
    );
  }

  async function saved(text: string): Promise<readonly string[]> {
    const path = await workshop.path('damaged.json');
    await writeFile(path, text);
    return (await workshop.store(path).recover()).saved;
  }

  it.each(['}}}}}}}}', 'x', ''])('saves it when a line of %j follows', async (rest) => {
    const [a] = await fourLines();
    expect(await saved(`lost\n${a}\n${rest}`)).toEqual(['a']);
  });

  it('looks for the end of one without its newline at the last four braces', async () => {
    const [a] = await fourLines();
    const line = a!.replace(/,$/, '');
    expect(await saved(`lost\n${line} } } }`)).toEqual(['a']);
    expect(await saved(`lost\n${line} } } } }`)).toEqual([]);
  });

  it('saves it without its newline, however many lines follow', async () => {
    const lines = await fourLines();
    expect(await saved(`lost\n${lines.join('')}`)).toEqual(['a', 'b', 'c', 'd']);
    expect(await saved(`lost\n${lines.join('\0')}`)).toEqual(['a', 'b', 'c', 'd']);
  });
});

describe('recover(), of the generation', () => {
  const NOW = 1_700_000_000_000;

  async function generationAfter(damage: (text: string) => string, now: number): Promise<number> {
    const path = await workshop.path();
    const store = workshop.store(path, { now: () => now });
    for (let n = 0; n < 5; n++) await store.commit('a', n);
    await writeFile(path, damage(await readFile(path, 'utf8')));
    await store.recover();
    return Number(/"generation":(\d+)/.exec(await readFile(path, 'utf8'))?.[1]);
  }

  it.each([
    ['the milliseconds since 1970, cut', (text: string) => text.slice(1), NOW + 0.7, NOW],
    ['one more than was seen, where the clock is wrong', (text: string) => text.slice(1), 3, 6],
    ['one more than was seen, though the file says less', claim('2'), 3, 6],
    ['one more than the file says', claim('4503599627370495'), NOW, 2 ** 52],
    ['not what can only be damage', claim('4503599627370496'), NOW, NOW],
    ['not what is no number', claim('x'), NOW, NOW],
  ])('is %s', async (_name, damage, now, expected) => {
    expect(await generationAfter(damage, now)).toBe(expected);
  });

  function claim(generation: string): (text: string) => string {
    return (text) => text.replace(/"generation":\d+/, `"generation":${generation}`);
  }
});

describe('recover(), of what it cannot save', () => {
  it('says how many lines are not there, in its report and in that of verify()', async () => {
    const path = await workshop.path();
    const store = workshop.store(path);
    await store.commitMany(['a', 'b', 'c', 'd'].map((source) => ({ source, offset: Offset.sequence(1) })));
    const text = await readFile(path, 'utf8');
    const cut = text.slice(0, text.indexOf('{"check"', text.indexOf('"source":"b"')));
    const damaged = cut.replace(/"source":"b".*"value":"1"/, (line) => line.replace('"1"', '"7"'));
    await writeFile(path, damaged);
    const { problems } = await store.verify();
    expect(problems.slice(1)).toEqual([
      expect.stringMatching(/^source "b": .*check/),
      '2 more lines that the file counts are not there',
    ]);
    const report = await store.recover();
    expect(report.saved).toEqual(['a']);
    expect(report.kept).toContain('offsets.json.corrupt-');
    expect(report.lost).toEqual([
      { source: 'b', reason: expect.stringContaining('check') },
      { source: undefined, reason: '2 more lines that the file counts are not there' },
    ]);
  });

  it('says nothing of lines where none is missing', async () => {
    const path = await workshop.path();
    const store = workshop.store(path);
    await store.commitMany(['a', 'b'].map((source) => ({ source, offset: Offset.sequence(1) })));
    const text = await readFile(path, 'utf8');
    await writeFile(path, text.slice(1));
    expect((await store.verify()).problems).toHaveLength(1);
    expect((await store.recover()).lost).toEqual([]);
  });

  it('says which source a line was about only where a name stands in it', async () => {
    const lines = await linesOf('offsets.json', '2026-01-01T00:00:00.000Z', (store) =>
      store.commitMany(
        ['good', 'named', 'unnamed', 'torn'].map((source) => ({ source, offset: Offset.sequence(1) })),
      ),
    );
    const [good, named, unnamed, torn] = ['good', 'named', 'unnamed', 'torn'].map((source) =>
      lines.find((line) => line.includes(`"${source}"`))!,
    );
    const path = await workshop.path('damaged.json');
    await writeFile(
      path,
      [
        'lost',
        good,
        named!.replace('"value":"1"', '"value":"2"'),
        unnamed!.replace('"source"', '"sourcf"'),
        torn!.slice(0, torn!.indexOf('"torn"') + 3),
      ].join('\n'),
    );
    const store = workshop.store(path);
    const reason = expect.any(String);
    expect(await store.recover()).toMatchObject({
      saved: ['good'],
      lost: [
        { source: 'named', reason },
        { source: undefined, reason },
        { source: undefined, reason },
      ],
    });
    expect(await store.getAll()).toEqual(new Map([['good', Offset.sequence(1)]]));
  });

  it('is done once where two stores begin at the same time', async () => {
    const path = await workshop.path();
    await workshop.store(path).commit('a', 1);
    await writeFile(path, (await readFile(path, 'utf8')).slice(1));
    const [one, other] = [workshop.store(path), workshop.store(path)];
    const reports = await Promise.all([one.recover(), other.recover()]);
    expect(reports.map(({ status }) => status).toSorted()).toEqual(['recovered', 'unneeded']);
    for (const report of reports) expect(report.saved).toEqual(['a']);
  });

  it('takes a good file that somebody puts back meanwhile, though it is older than what the store has seen', async () => {
    const recorder = await recordingFileSystem();
    const store = workshop.store(await workshop.path(), { fs: recorder.fs });
    await store.commit('a', 1);
    const older = await readFile(store.path);
    await store.commit('a', 2);
    await writeFile(store.path, (await readFile(store.path, 'utf8')).slice(1));
    recorder.before = async ({ call, path }) => {
      if (call === 'open' && path.endsWith('.token')) await writeFile(store.path, older);
    };
    expect(await store.recover()).toMatchObject({ status: 'unneeded', saved: ['a'] });
    recorder.before = () => undefined;
    expect(await store.get('a')).toEqual(Offset.sequence(1));
    await store.commit('a', 2);
  });

  it('leaves a file of a newer version as it is', async () => {
    const path = await workshop.path();
    await workshop.store(path).commit('a', 1);
    const text = (await readFile(path, 'utf8')).replace('"version":1', '"version":2');
    await writeFile(path, text);
    const store = workshop.store(path);
    await expect(store.recover()).rejects.toMatchObject({ code: 'OFFSET_UNSUPPORTED' });
    expect(await readFile(path, 'utf8')).toBe(text);
  });
});
