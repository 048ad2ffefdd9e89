/** A process of a scale run: several trackers, or several loops of bare statements, each over sources of its own. */
import { once } from 'node:events';
import { OffsetTracker } from '../../lib/tracker/offset-tracker.js';
import { openBackend, type ScaleKind } from './scale-backends.js';

/** The worker's argument, as JSON. */
export interface ScaleJob {
  readonly kind: ScaleKind;
  readonly url: string;
  /** `trackers`, or the name of a bare statement. */
  readonly what: string;
  /** Of each loop, the sources from the first up to the second. */
  readonly ranges: ReadonlyArray<readonly [number, number]>;
  /** Rounds have higher offsets than those before. */
  readonly round: number;
  readonly ms: number;
}

/** What the worker prints at its end. */
export interface ScaleReport {
  readonly latenciesMicros: readonly number[];
  /** Of this process, for all of them. */
  readonly cpuMicros: number;
  /** Of the first commits of each source, for which a tracker has to read first. */
  readonly firstMicros: readonly number[];
}

const { kind, url, what, ranges, round, ms } = JSON.parse(process.argv[2] ?? '') as ScaleJob;
const backend = await openBackend(kind, url, ranges.length);

const loops = ranges.map(([from, to]) => {
  const tracker = new OffsetTracker(backend.store);
  const bare = backend.bare[what];
  const move =
    what === 'trackers'
      ? (source: string, value: number): Promise<unknown> => tracker.record(source, value)
      : bare;
  if (move === undefined) throw new Error(`Expected the name of a bare statement, got ${what}`);
  let value = round * 1_000_000;
  const one = async (): Promise<number> => {
    value += 1;
    const start = performance.now();
    await move(`source-${from + (value % (to - from))}`, value);
    return Math.round((performance.now() - start) * 1_000);
  };
  return {
    tracker,
    touch: async (): Promise<number[]> => {
      const micros: number[] = [];
      for (let count = from; count < to; count += 1) micros.push(await one());
      return micros;
    },
    run: async (until: number): Promise<number[]> => {
      const micros: number[] = [];
      while (performance.now() < until) micros.push(await one());
      return micros;
    },
  };
});

const firstMicros = (await Promise.all(loops.map(({ touch }) => touch()))).flat();
process.stdout.write('ready\n');
await once(process.stdin, 'data');
process.stdin.destroy();
const before = process.cpuUsage();
const until = performance.now() + ms;
const latenciesMicros = (await Promise.all(loops.map(({ run }) => run(until)))).flat();
const { user, system } = process.cpuUsage(before);
await Promise.all(loops.map(({ tracker }) => tracker.close()));
await backend.end();
const report: ScaleReport = { latenciesMicros, cpuMicros: user + system, firstMicros };
process.stdout.write(JSON.stringify(report));
