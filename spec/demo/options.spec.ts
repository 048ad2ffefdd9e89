import { describe, expect, it } from '@jest/globals';
import { DEFAULT_STRATEGIES, HELP, parseOptions, UsageError } from '../../docs/examples/demo/options.js';
import { openStore } from '../../docs/examples/demo/store.js';
import { parseStrategy, repeatLimit } from '../../docs/examples/demo/strategy.js';
import { CommitStrategy, FileOffsetStore } from '../../lib/index.js';

describe('parseOptions', () => {
  it('has defaults', () => {
    expect(parseOptions([])).toEqual({
      help: false,
      file: undefined,
      kills: 5,
      strategies: DEFAULT_STRATEGIES,
      store: undefined,
      limit: undefined,
      seed: undefined,
      wrongOrder: false,
    });
  });

  it('takes every option that the help names', () => {
    const args = '--file a.jsonl --kills 0 --strategy auto,eager --strategy interval:5 --strategy auto';
    const rest = '--store file:o.json --limit 10 --seed 4294967295 --wrong-order --help';
    expect(parseOptions(`${args} ${rest}`.split(' '))).toEqual({
      help: true,
      file: 'a.jsonl',
      kills: 0,
      strategies: ['auto', 'eager', 'interval:5'],
      store: 'file:o.json',
      limit: 10,
      seed: 4294967295,
      wrongOrder: true,
    });
    for (const [option] of `${args} ${rest}`.matchAll(/--\S+/g)) expect(HELP).toContain(option);
  });

  it.each([
    [['--nonsense'], /Unknown option '--nonsense'/],
    [['stray'], /Unexpected argument 'stray'/],
    [['--kills'], /--kills/],
    [['--kills', '1001'], 'Expected --kills to be an integer from 0 to 1000, got "1001"'],
    [['--kills=-1'], 'Expected --kills to be an integer from 0 to 1000, got "-1"'],
    [['--kills', '1.5'], /got "1.5"/],
    [['--kills', ''], /got ""/],
    [['--limit', '0'], /Expected --limit to be an integer from 1/],
    [['--seed', '4294967296'], /Expected --seed to be an integer from 0 to 4294967295/],
    [['--file', ''], 'Expected a value for --file, got nothing'],
    [['--store='], 'Expected a value for --store, got nothing'],
  ])('refuses %j', (args, message) => {
    expect(() => parseOptions(args)).toThrow(UsageError);
    expect(() => parseOptions(args)).toThrow(message);
  });
});

describe('parseStrategy', () => {
  it.each([
    ['auto', CommitStrategy.auto, 1],
    ['eager', CommitStrategy.eager, undefined],
    ['periodic:250', CommitStrategy.periodic(250), 250],
    ['interval:50', CommitStrategy.interval(50), undefined],
  ])('reads %s', (text, strategy, limit) => {
    expect(parseStrategy(text)).toEqual(strategy);
    expect(repeatLimit(strategy)).toBe(limit);
  });

  it.each([
    'periodic',
    'periodic:',
    'periodic:0',
    'periodic:-1',
    'periodic:1.5',
    'periodic:1:2',
    'interval:x',
    'auto:1',
    'manual',
    'constructor',
    '',
  ])('refuses "%s"', (text) => {
    expect(() => parseStrategy(text)).toThrow('Expected a strategy: auto, eager, periodic:N');
  });
});

describe('openStore', () => {
  it('opens a file store', () => {
    expect(openStore('file:offsets.json')).toBeInstanceOf(FileOffsetStore);
  });

  it.each(['', 'offsets.json', 'file:', 'redis://localhost', 'constructor:x', ':x'])(
    'refuses "%s"',
    (url) => {
      expect(() => openStore(url)).toThrow(`Expected a store as file:PATH, got "${url}"`);
    },
  );
});
