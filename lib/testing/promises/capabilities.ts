/** What the store says it has, and has. */
import assert from 'node:assert/strict';
import { CAPABILITIES, type Harness } from '../harness.js';

export function capabilities(suite: Harness): void {
  suite.promise('the five methods are there', [], async (store) => {
    for (const method of ['get', 'commit', 'getAll', 'clear', 'clearAll'] as const) {
      assert.ok(typeof store[method] === 'function', `Expected a method ${method}()`);
    }
  });
  for (const method of CAPABILITIES) {
    const declared = suite.capabilities.has(method);
    suite.promise(`${method}() is ${declared ? 'there' : 'not there'}, as declared`, [], async (store) => {
      const there = store[method] !== undefined;
      assert.ok(
        there === declared,
        `${method}() is ${there ? '' : 'not '}there and was ${declared ? '' : 'not '}declared in capabilities`,
      );
    });
  }
  suite.promise('a store that shows or raises epochs has epoch()', [], async (store) => {
    for (const method of ['inspect', 'inspectAll', 'reset', 'claim'] as const) {
      if (store[method] === undefined) continue;
      assert.ok(typeof store.epoch === 'function', `Expected epoch() to be there, since ${method}() is`);
    }
  });
}
