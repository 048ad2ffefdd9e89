import { builtinModules } from 'node:module';
import type { Bench, Suite } from './harness/bench.js';
import { inChild, PACKAGE } from './harness/child.js';
import { median, quantile } from './harness/compare.js';

/** Prints the milliseconds since the process was started. */
const STARTED = 'console.log(JSON.stringify(performance.now()));';

const FS_EXTRA = import.meta.resolve('fs-extra');

async function run(bench: Bench): Promise<void> {
  const sources: Readonly<Record<string, string>> = {
    'bare Node': STARTED,
    streamweave: `await import(${JSON.stringify(PACKAGE)}); ${STARTED}`,
    'fs-extra, for comparison': `await import(${JSON.stringify(FS_EXTRA)}); ${STARTED}`,
  };
  const times = new Map<string, number[]>(Object.keys(sources).map((name) => [name, []]));
  const rounds = bench.pick(41, 9);
  for (let round = -2; round < rounds; round++) {
    const order = round % 2 === 0 ? Object.entries(sources) : Object.entries(sources).toReversed();
    for (const [name, source] of order) {
      const ms = await inChild<number>(source);
      if (round >= 0) times.get(name)?.push(ms);
    }
  }
  const bare = times.get('bare Node') ?? [];
  const over = (name: string): number =>
    median((times.get(name) ?? []).map((ms, round) => ms - (bare[round] ?? Number.NaN)));
  const shares = (name: string): number[] =>
    (times.get(name) ?? []).map((ms, round) => (bare[round] ?? Number.NaN) / ms);
  bench.findings.groups.push({
    name: 'starts of a process',
    lines: Array.from(times, ([name, own]) => ({
      name,
      perSecond: 1000 / median(own),
      spread: (quantile(own, 0.75) - quantile(own, 0.25)) / 2 / median(own),
      ratio: median(shares(name)),
      ratioRange: [quantile(shares(name), 0.25), quantile(shares(name), 0.75)],
    })),
  });
  bench.atMost('import of the package over bare Node', over('streamweave'), 20, 'ms');
  bench.atMost(
    'import of the package, against that of fs-extra (both over bare Node)',
    over('streamweave') / over('fs-extra, for comparison'),
    1,
  );
  const loaded = await inChild<string[]>(
    `import { createRequire } from 'node:module'; await import(${JSON.stringify(PACKAGE)});
     console.log(JSON.stringify(Object.keys(createRequire(import.meta.url).cache ?? {})));`,
  );
  const foreign = loaded.filter((name) => !builtinModules.includes(name));
  bench.atMost('packages that the import loads, drivers among them', foreign.length, 0, 'modules');
}

export const start: Suite = {
  name: 'start',
  question: 'What does a process wait for when it imports the package?',
  run,
};
