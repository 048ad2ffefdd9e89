// The conformance suite under node:test, as a store's author without jest would run it.
import { describe, it } from 'node:test';
import { InMemoryOffsetStore } from '../../lib/stores/memory.js';
import { testOffsetStore } from '../../lib/testing/index.js';
import { EVERY_CAPABILITY } from './every-capability.js';

testOffsetStore({
  name: 'InMemoryOffsetStore',
  create: () => new InMemoryOffsetStore(),
  capabilities: EVERY_CAPABILITY,
  test: { describe, it },
});
