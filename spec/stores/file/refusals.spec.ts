import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { describe, expect, it } from '@jest/globals';
import { FileOffsetStore } from '../../../lib/stores/file/file-store.js';
import { Workshop } from '../../support/file-workshop.js';

const workshop = new Workshop();

/** The whole message of what reading the store is refused with. */
async function refusal(
  store: FileOffsetStore,
): Promise<{ message: string; code: string; cause: Error | undefined }> {
  return await store.get('a').then(
    () => {
      throw new Error('Expected a refusal');
    },
    (error: unknown) => error as never,
  );
}

describe('a refusal says what was found, that nothing was changed, and what to do', () => {
  it('of a directory', async () => {
    const path = await workshop.path();
    await mkdir(path);
    expect(await refusal(workshop.store(path))).toMatchObject({
      code: 'OFFSET_IO',
      message: `Could not read, because it is no regular file, "${path}": EISDIR. Give the path of a file`,
      cause: { message: `${path} is no regular file` },
    });
  });

  it('of a newer version', async () => {
    const path = await workshop.path();
    await workshop.store(path).commit('a', 1);
    await writeFile(path, (await readFile(path, 'utf8')).replace('"version":1', '"version":2'));
    const { message, code, cause } = await refusal(workshop.store(path));
    expect(code).toBe('OFFSET_UNSUPPORTED');
    expect(message).toBe(
      `The offsets file "${path}" cannot be read: ${cause!.message}. Nothing was written. ` +
        'Use the version that wrote it, or a newer one',
    );
  });

  it('of damage', async () => {
    const path = await workshop.path();
    await workshop.store(path).commit('a', 1);
    await writeFile(path, (await readFile(path, 'utf8')).slice(1));
    const { message, code, cause } = await refusal(workshop.store(path));
    expect(code).toBe('OFFSET_CORRUPT');
    const kept = /, and are also kept as "(.*)"\. Put/.exec(message)?.[1];
    expect(kept).toContain('.corrupt-');
    expect(message).toBe(
      `The offsets file "${path}" is damaged: ${cause!.message}. Its bytes were left as they are, and are also kept as ` +
        `"${kept}". Put a good file in its place, or call recover() to save what can be saved`,
    );
  });

  it('of what is too large, by one byte', async () => {
    const path = await workshop.path();
    await workshop.store(path).commit('a', 1, { metadata: { text: 'x'.repeat(2000) } });
    const { length } = await readFile(path);
    expect(await workshop.store(path, { maxFileBytes: length }).get('a')).toBeDefined();
    const { message, code } = await refusal(workshop.store(path, { maxFileBytes: length - 1 }));
    expect(code).toBe('OFFSET_CORRUPT');
    expect(message).toBe(
      `The file "${path}" cannot be taken for offsets: it has ${length} bytes, and \`maxFileBytes\` allows ${length - 1}. ` +
        'If that is right, raise the option. Nothing was changed. Choose another path, or move the file away',
    );
  });

  it('of a file that went back, is another of the same generation, or is gone', async () => {
    const path = await workshop.path();
    const store = workshop.store(path);
    await store.commit('a', 1);
    const first = await readFile(path);
    await store.commit('a', 2);
    await writeFile(path, first);
    const advice =
      'Nothing was written. Put the newer file back, or call recover() to go on with what is there now';
    expect((await refusal(store)).message).toBe(
      `The offsets file "${path}" went back from generation 2 to 1: it was replaced by an older one. ${advice}`,
    );
    await rm(path);
    expect((await refusal(store)).message).toBe(
      `The offsets file "${path}" is gone, and this store had seen it. ${advice}`,
    );
    const other = workshop.store(await workshop.path('other.json'));
    await other.commit('b', 1);
    await other.commit('b', 2);
    await writeFile(path, await readFile(other.path));
    expect((await refusal(store)).message).toBe(
      `The offsets file "${path}" was replaced by another of the same generation 2. ${advice}`,
    );
  });

  it('of wrong options, by their names', async () => {
    const path = await workshop.path();
    expect(() => new FileOffsetStore(path, { maxFileBytes: 1 })).toThrow('`maxFileBytes`');
    expect(() => new FileOffsetStore(path, { lockHoldMs: -1 })).toThrow('`lockHoldMs`');
    expect(() => new FileOffsetStore('')).toThrow(
      'Expected the path to be a non-empty string without U+0000, or a file: URL',
    );
    const closed = new FileOffsetStore(path);
    await closed.close();
    await expect(closed.get('a')).rejects.toThrow('This FileOffsetStore was closed; make a new one');
  });
});
