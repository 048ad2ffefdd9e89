import { describe, expect, it } from '@jest/globals';
import { Offset } from '../../lib/offset.js';
import type { OffsetStore } from '../../lib/offset-store.js';
import { Random } from '../support/fire-random.js';
import { useRegister } from '../support/register-client.js';
import { type Operation, violations } from '../support/register-history.js';

/** One that begins at the moment and ends with the next. */
function at(
  moment: number,
  call: Operation['call'],
  value: number,
  { epoch, outcome = 'ok' }: Partial<Pick<Operation, 'epoch' | 'outcome'>> = {},
): Operation {
  const [start, end] = [BigInt(moment), BigInt(moment + 1)];
  return { process: 'p', source: 'a', call, value: BigInt(value), epoch, outcome, start, end };
}

describe('the checker of what several processes did to a source', () => {
  it.each<[string, Operation[]]>([
    ['a read of what was committed', [at(0, 'commit', 5), at(2, 'get', 5), at(4, 'commit', 6)]],
    ['a refusal of what lies behind', [at(0, 'commit', 5), at(2, 'commit', 4, { outcome: 'behind' })]],
    [
      'a refusal after a claim',
      [at(0, 'claim', 1), at(2, 'claim', 2), at(4, 'commit', 5, { epoch: 1, outcome: 'fenced' })],
    ],
    [
      'a commit without an answer that is read',
      [at(0, 'commit', 5, { outcome: 'unknown' }), at(2, 'get', 5)],
    ],
  ])('takes %s', (_, history) => {
    expect(violations(history)).toEqual([]);
  });

  it.each<[string, Operation[]]>([
    ['a read of less than was committed', [at(0, 'commit', 4), at(2, 'commit', 5), at(4, 'get', 4)]],
    ['a commit of less than was committed', [at(0, 'commit', 5), at(2, 'commit', 4)]],
    ['a read of what was committed later', [at(0, 'get', 5), at(2, 'commit', 5)]],
    ['a refusal of what lies ahead', [at(0, 'commit', 5), at(2, 'commit', 6, { outcome: 'behind' })]],
    ['two claims of one epoch', [at(0, 'claim', 1), at(0, 'claim', 1)]],
    [
      'a commit under an epoch of the past',
      [at(0, 'claim', 1), at(2, 'claim', 2), at(4, 'commit', 5, { epoch: 1 })],
    ],
    ['a refusal without a rival', [at(0, 'claim', 1), at(2, 'commit', 5, { epoch: 1, outcome: 'fenced' })]],
  ])('finds %s', (_, history) => {
    expect(violations(history)).toHaveLength(1);
  });

  it('finds the lost updates of a store that reads and then writes', async () => {
    const values = new Map<string, bigint>();
    const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
    const careless: OffsetStore = {
      async get(source) {
        const value = values.get(source);
        await turn();
        return value === undefined ? undefined : Offset.sequence(value);
      },
      async commit(source, offset) {
        const value = offset.kind === 'sequence' ? offset.value : 0n;
        const current = values.get(source) ?? -1n;
        await turn();
        if (value >= current) values.set(source, value);
        await turn();
      },
      getAll: async () => new Map(),
      clear: async () => {},
      clearAll: async () => {},
    };
    const history: Operation[] = [];
    await Promise.all(
      [1, 2, 3, 4].map((number) =>
        useRegister(
          careless,
          { process: `client-${number}`, sources: ['a'], operations: 500, claims: false },
          new Random(number),
          (operation) => history.push(operation),
        ),
      ),
    );
    expect(violations(history).length).toBeGreaterThan(0);
  });
});
