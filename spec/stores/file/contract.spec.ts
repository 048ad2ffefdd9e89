import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, it } from '@jest/globals';
import { FileOffsetStore } from '../../../lib/stores/file/file-store.js';
import { testOffsetStore } from '../../../lib/testing/index.js';
import { EVERY_CAPABILITY } from '../../support/every-capability.js';

testOffsetStore<FileOffsetStore>({
  name: 'FileOffsetStore',
  create: () =>
    new FileOffsetStore(path.join(mkdtempSync(path.join(tmpdir(), 'streamweave-offset-')), 'offsets.json')),
  destroy: (store) => rmSync(path.dirname(store.path), { recursive: true }),
  reopen: (store) => new FileOffsetStore(store.path),
  another: (store) => new FileOffsetStore(store.path),
  capabilities: EVERY_CAPABILITY,
  test: { describe, it },
});
