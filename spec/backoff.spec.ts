import { describe, expect, it } from '@jest/globals';
import { backoffMs, checkedRetry } from '../lib/backoff.js';

const defaults = { retries: 3, minDelayMs: 100, maxDelayMs: 5_000 };

describe('checkedRetry()', () => {
  it('puts the defaults in the place of what was not given', () => {
    expect(checkedRetry(undefined, defaults)).toEqual(defaults);
    expect(checkedRetry({ retries: 0, maxDelayMs: undefined }, defaults)).toEqual({
      ...defaults,
      retries: 0,
    });
    expect(checkedRetry({ minDelayMs: 6_000 }, defaults)).toEqual({
      retries: 3,
      minDelayMs: 6_000,
      maxDelayMs: 6_000,
    });
  });

  it.each([
    [5, TypeError, 'Expected `retry` to be an object or undefined, got 5 (number)'],
    [{ retries: 1_001 }, RangeError, '`retry.retries` to be an integer from 0 to 1000'],
    [{ minDelayMs: '1' }, TypeError, '`retry.minDelayMs` to be an integer from 0 to 2147483647'],
    [{ maxDelayMs: 99 }, RangeError, '`retry.maxDelayMs` to be an integer from 100 to 2147483647'],
  ])('refuses %j', (retry, type, message) => {
    const check = (): unknown => checkedRetry(retry as object, defaults);
    expect(check).toThrow(type);
    expect(check).toThrow(message);
  });
});

describe('backoffMs()', () => {
  const waits = (random: () => number): number[] =>
    [0, 1, 2, 5, 6, 1_000].map((retried) => backoffMs(defaults, retried, random));

  it('doubles up to the longest wait, half of it at random', () => {
    expect(waits(() => 1)).toEqual([100, 200, 400, 3_200, 5_000, 5_000]);
    expect(waits(() => 0)).toEqual([50, 100, 200, 1_600, 2_500, 2_500]);
  });

  it('is of whole milliseconds', () => {
    expect(backoffMs({ minDelayMs: 1, maxDelayMs: 50 }, 0, () => 0.3)).toBe(1);
    expect(backoffMs({ minDelayMs: 0, maxDelayMs: 0 }, 1_000)).toBe(0);
  });
});
