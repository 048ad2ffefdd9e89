// The conformance suite under node:test, as a store's author without jest would run it.
import { describe, it } from 'node:test';
import { InMemoryOffsetStore } from '../../lib/stores/memory.js';
import { testOffsetStore } from '../../lib/testing/index.js';

testOffsetStore({
  name: 'InMemoryOffsetStore',
  create: () => new InMemoryOffsetStore(),
  capabilities: {
    commitMany: true,
    inspect: true,
    inspectAll: true,
    epoch: true,
    reset: true,
    claim: true,
    close: true,
  },
  test: { describe, it },
});
