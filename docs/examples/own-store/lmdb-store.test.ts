/** The conformance suite over the store. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, it } from 'node:test';
import { testOffsetStore } from 'streamweave-offset/testing';
import { LmdbOffsetStore } from './lmdb-store.js';

const folders = new WeakMap<LmdbOffsetStore, string>();

function openIn(folder: string): LmdbOffsetStore {
  const store = new LmdbOffsetStore(path.join(folder, 'offsets.lmdb'));
  folders.set(store, folder);
  return store;
}

testOffsetStore({
  name: 'LmdbOffsetStore',
  test: { describe, it },
  create: () => openIn(mkdtempSync(path.join(tmpdir(), 'offsets-'))),
  destroy: (store) => rmSync(folders.get(store)!, { recursive: true }),
  reopen: (store) => openIn(folders.get(store)!),
  another: (store) => openIn(folders.get(store)!),
  capabilities: { epoch: true, claim: true, close: true },
});
