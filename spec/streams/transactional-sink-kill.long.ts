import { afterEach, beforeEach, expect, it } from '@jest/globals';
import { flightsAsLines, killAgainAndAgain } from '../support/sink-kills.js';
import { Databases } from '../support/sqlite.js';

let databases: Databases;
beforeEach(() => {
  databases = new Databases();
});
afterEach(() => databases.destroy());

it('a worker that is killed 50 times leaves the table of one that never was: 0 lost, 0 repeated', async () => {
  const { kills, rows, uninterrupted } = await killAgainAndAgain(databases, {
    flights: flightsAsLines(databases.folder, 50_000),
    kills: 50,
    batchSize: 20,
  });
  expect(kills).toBe(50);
  expect(uninterrupted).toHaveLength(50_000);
  expect(rows).toEqual(uninterrupted);
}, 600_000);
