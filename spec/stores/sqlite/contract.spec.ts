import { describe, it } from '@jest/globals';
import { testOffsetStore } from '../../../lib/testing/index.js';
import { contractOf, hasNodeSqlite, libsql, nodeSqlite } from '../../support/sqlite.js';

testOffsetStore({ ...contractOf('SqliteOffsetStore on libsql', libsql), test: { describe, it } });

if (hasNodeSqlite) {
  testOffsetStore({ ...contractOf('SqliteOffsetStore on node:sqlite', nodeSqlite), test: { describe, it } });
} else {
  describe.skip('SqliteOffsetStore on node:sqlite holds the OffsetStore contract', () => {
    it('needs Node 22 or newer', () => undefined);
  });
}
