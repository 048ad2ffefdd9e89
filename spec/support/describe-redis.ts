import { describe, it } from '@jest/globals';
import { missingRedis } from './redis-server.js';

/** As `describe`, for specs that need redis-server: one skipped test where there is none, a failing one under CI. */
export function describeRedis(title: string, body: () => void): void {
  const missing = missingRedis();
  if (missing === undefined) {
    describe(title, body);
  } else if (process.env['CI'] === undefined) {
    describe(title, () => it.skip(`skipped: ${missing}`, () => {}));
  } else {
    describe(title, () => {
      it('has what it needs', () => {
        throw new Error(`Expected redis-server to be installed under CI: ${missing}`);
      });
    });
  }
}
