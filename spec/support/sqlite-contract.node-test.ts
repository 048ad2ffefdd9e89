// The conformance suite of SqliteOffsetStore on node:sqlite under node:test, for a Node that has it.
import { describe, it } from 'node:test';
import { testOffsetStore } from '../../lib/testing/index.js';
import { contractOf, nodeSqlite } from './sqlite.js';

testOffsetStore({ ...contractOf('SqliteOffsetStore on node:sqlite', nodeSqlite), test: { describe, it } });
