import { describe, it } from '@jest/globals';

/**
 * A group of tests that need a server.
 *
 * @param missing - why there is none here: then the group is one skipped test, and under CI a failing one
 */
export function describeWithServer(title: string, missing: string | undefined, body: () => void): void {
  if (missing === undefined) {
    describe(title, body);
  } else if (process.env['CI'] === undefined) {
    describe(title, () => it.skip(`skipped: ${missing}`, () => {}));
  } else {
    describe(title, () => {
      it('has what it needs', () => {
        throw new Error(`Expected the server to be installed under CI: ${missing}`);
      });
    });
  }
}
