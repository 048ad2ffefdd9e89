import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { ERRORS } from '../../../support/fire-breakin.js';
import type { Operation } from '../../../support/fire-job.js';
import { failEverywhere, SHORT_WRITES, writeShort } from '../../../support/fire-matrix.js';
import { makeScenes, OPERATIONS, type Scene } from '../../../support/fire-scenes.js';

describe('when a call of the file system fails', () => {
  let directory: string;
  let scenes: Record<Operation, Scene>;

  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'fire-errors-'));
    scenes = await makeScenes(directory);
  });

  afterAll(async () => {
    await rm(directory, { recursive: true });
  });

  const matrix = OPERATIONS.flatMap((operation) => ERRORS.map((code) => [operation, code] as const));

  it.each(matrix)(
    '%s with %s at each call: a typed error or success, the old bytes or the new, and the next commit lands',
    async (operation, code) => {
      const { cases, outcomes, harmless } = await failEverywhere(scenes[operation], directory, code, false);
      expect(cases).toBeGreaterThan(15);
      expect(outcomes.old).toBeGreaterThan(cases / 3);
      expect(outcomes.unknown).toBe(1);
      // What succeeds all the same must not depend on the call.
      for (const call of harmless) expect(HARMLESS).toContain(call);
    },
    60_000,
  );

  it.each(OPERATIONS)(
    '%s with EIO at each call and all after it: the same',
    async (operation) => {
      const { cases, outcomes } = await failEverywhere(scenes[operation], directory, 'EIO', true);
      expect(cases).toBeGreaterThan(15);
      expect(outcomes.old).toBeGreaterThan(cases / 3);
    },
    60_000,
  );

  it.each(OPERATIONS)(
    '%s goes on with a short write, and installs nothing of one that lies',
    async (operation) => {
      const outcomes: Record<string, string> = {};
      for (const [name, behaviour] of Object.entries(SHORT_WRITES)) {
        outcomes[name] = await writeShort(scenes[operation], directory, behaviour);
      }
      expect(outcomes).toEqual({
        'one byte at a time': 'new',
        'half of it at a time': 'new',
        nothing: 'old',
        'half of it, and says all': 'old',
        'nothing, and says all': 'old',
      });
    },
  );
});

/** Closing, cleaning up, giving the file its old owner, the flush of directories that are not ours, and a second name. */
const HARMLESS = [
  'close',
  'fchown',
  'fsync',
  'link',
  'lstat',
  'open',
  'readdir',
  'rename',
  'rmdir',
  'unlink',
];
