/** What a FileOffsetStore loads at its first call, in one piece. */
export { loadSerializer, proveMetadata } from './codec.js';
export { openQueue } from './registry.js';
export { problemsOf } from './salvage.js';
