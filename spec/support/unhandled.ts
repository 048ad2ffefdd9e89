import { afterEach, beforeEach, expect } from '@jest/globals';
import { settle } from './fake-clock.js';

/** From now on every test of the file fails when it leaves a rejection that nobody handles. */
export function refuseUnhandledRejections(): void {
  let unhandled: unknown[] = [];
  const listener = (reason: unknown): void => {
    unhandled.push(reason);
  };
  beforeEach(() => {
    unhandled = [];
    process.on('unhandledRejection', listener);
  });
  afterEach(async () => {
    await settle();
    await settle();
    process.off('unhandledRejection', listener);
    expect(unhandled).toEqual([]);
  });
}
