import { CommitStrategy } from 'streamweave-offset';

const STRATEGY_FORMS = 'auto, eager, periodic:N (a number of items) or interval:MS (milliseconds)';

/**
 * The strategy that a text such as `periodic:1000` names.
 *
 * @throws Error that says what was expected
 */
export function parseStrategy(text: string): CommitStrategy {
  const [name = '', argument, ...rest] = text.split(':');
  const number = argument !== undefined && /^\d{1,9}$/.test(argument) ? Number(argument) : 0;
  if (rest.length === 0) {
    if (name === 'auto' && argument === undefined) return CommitStrategy.auto;
    if (name === 'eager' && argument === undefined) return CommitStrategy.eager;
    if (name === 'periodic' && number > 0) return CommitStrategy.periodic(number);
    if (name === 'interval' && number > 0) return CommitStrategy.interval(number);
  }
  const hint =
    name === 'manual' ? ' ("manual" commits where your own code says so, and this pipeline never does)' : '';
  throw new Error(`Expected a strategy: ${STRATEGY_FORMS}, got "${text}"${hint}`);
}

/**
 * How many items a crash can make the worker repeat under this strategy, whatever the speed of the machine.
 * Undefined for the strategies that go by time: what they have not committed depends on how fast the work is.
 *
 * The pipeline hands its items on one at a time, so at most one of them is done and not recorded. With
 * `periodic(n)` that is the n-th, or it is recorded and waits for the commit: n in all. `auto` is the case of 1.
 */
export function repeatLimit(strategy: CommitStrategy): number | undefined {
  switch (strategy.kind) {
    case 'auto':
      return 1;
    case 'periodic':
      return strategy.n;
    default:
      return undefined;
  }
}
