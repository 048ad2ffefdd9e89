import { readFile, writeFile } from 'node:fs/promises';
import { describe, expect, it } from '@jest/globals';
import type { Checkpoint } from '../../../lib/checkpoint.js';
import { Offset } from '../../../lib/offset.js';
import type { FileOffsetStore } from '../../../lib/stores/file/file-store.js';
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

describe('recover(), of what it cannot save', () => {
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
