import { describe, expect, it } from '@jest/globals';
import { checkedResetPolicy } from '../lib/reset-policy.js';

describe('checkedResetPolicy()', () => {
  it.each(['earliest', 'latest', 'none'])('takes %j', (policy) => {
    expect(checkedResetPolicy(policy)).toBe(policy);
  });

  it.each([undefined, null, '', 'Earliest', 'first', 5, {}, ['latest'], { kind: 'earliest' }])(
    'refuses %j with a TypeError that lists the policies',
    (value) => {
      expect(() => checkedResetPolicy(value)).toThrow(TypeError);
      expect(() => checkedResetPolicy(value)).toThrow(
        /^Expected `resetPolicy` to be 'earliest', 'latest' or 'none', got /,
      );
    },
  );
});
