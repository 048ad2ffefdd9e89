/** Kills workers and the server, and cuts their connections, while flights are written; then counts what is in the table. */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { Pool } from 'pg';
import { bundleWorker } from './bundle.js';
import { PostgresServer } from './postgres-server.js';
import { type Cut, TcpProxy } from './tcp-proxy.js';

export interface Storm {
  readonly driver: 'pg' | 'postgres';
  readonly lines: number;
  /** How often the worker is killed, the server is killed, and a connection is cut. */
  readonly workerKills: number;
  readonly serverKills: number;
  readonly cuts: number;
}

export interface Aftermath {
  readonly rows: number;
  /** Rows of the uninterrupted run that are not in the table. */
  readonly lost: number;
  /** Rows of the table that are not in the uninterrupted run, or there less often. */
  readonly repeated: number;
  readonly workerKills: number;
  readonly serverKills: number;
  readonly cuts: number;
  /** Workers that ended by themselves, before their work was done. */
  readonly failures: readonly string[];
}

type Event = 'worker' | 'server' | Cut;

/** Where a connection is cut, in turn: what is sent then does not get there, or its answer does not come back. */
const CUTS: readonly Cut[] = [
  { at: 'COMMIT', when: 'after' },
  { at: 'COMMIT', when: 'before' },
  { at: 'INSERT', when: 'after' },
  { at: 'BEGIN', when: 'after' },
  { at: 5_000, when: 'before' },
];

function repeat<T>(count: number, make: (index: number) => T): T[] {
  return Array.from({ length: count }, (_, index) => make(index));
}

/** The events, each kind evenly over the whole. */
function events({ workerKills, serverKills, cuts }: Storm): Event[] {
  const all = [
    ...repeat(workerKills, (index) => ({ event: 'worker' as Event, at: (index + 0.4) / workerKills })),
    ...repeat(serverKills, (index) => ({ event: 'server' as Event, at: (index + 0.55) / serverKills })),
    ...repeat(cuts, (index) => ({ event: CUTS[index % CUTS.length]! as Event, at: (index + 0.5) / cuts })),
  ];
  return all.toSorted((a, b) => a.at - b.at).map(({ event }) => event);
}

/** The flights as a file with one on each line. */
async function writeFlights(path: string, lines: number): Promise<void> {
  const source = join(require.resolve('vega-datasets'), '../../data/flights-200k.json');
  const flights = (JSON.parse(await readFile(source, 'utf8')) as unknown[]).slice(0, lines);
  await writeFile(path, flights.map((flight) => `${JSON.stringify(flight)}\n`).join(''));
}

class Worker {
  readonly #process: ChildProcess;
  readonly ended: Promise<unknown>;
  said = '';

  constructor(program: string, args: readonly string[]) {
    this.#process = fork(program, args, { stdio: ['ignore', 'ignore', 'pipe', 'ipc'], execArgv: [] });
    this.#process.stderr!.setEncoding('utf8').on('data', (text: string) => {
      this.said = (this.said + text).slice(-2_000);
    });
    this.ended = once(this.#process, 'close');
  }

  get over(): boolean {
    return this.#process.exitCode !== null || this.#process.signalCode !== null;
  }

  get succeeded(): boolean {
    return this.#process.exitCode === 0;
  }

  async kill(): Promise<void> {
    this.#process.kill('SIGKILL');
    await this.ended;
  }
}

export async function weather(storm: Storm): Promise<Aftermath> {
  const folder = await mkdtemp(join(tmpdir(), 'streamweave-offset-storm-'));
  const server = await PostgresServer.start();
  const proxy = await TcpProxy.to(server.port);
  const admin = new Pool({ connectionString: server.url(), max: 1 });
  admin.on('error', () => {});
  let worker: Worker | undefined;
  try {
    const file = join(folder, 'flights.jsonl');
    await writeFlights(file, storm.lines);
    // Compiled once, for a worker has to be started many times.
    const program = await bundleWorker('postgres-flights-worker.ts', folder);
    // Without a key: what is written twice is there twice.
    await admin.query('CREATE TABLE calm (position bigint, line text); CREATE TABLE storm (LIKE calm)');

    const start = (table: string, port: number): Worker =>
      new Worker(program, [storm.driver, server.url({ port }), file, table]);
    worker = start('calm', server.port);
    await worker.ended;
    if (!worker.succeeded)
      throw new Error(`Expected the uninterrupted run to succeed, and it said:\n${worker.said}`);

    const done = { workerKills: 0, serverKills: 0, cuts: 0 };
    const failures: string[] = [];
    const written = async (): Promise<number> =>
      Number((await admin.query<{ n: string }>('SELECT count(*) AS n FROM storm')).rows[0]!.n);
    const again = (): Worker => {
      if (worker!.over && !worker!.succeeded) failures.push(worker!.said);
      if (failures.length > 5)
        throw new Error(`Expected workers to live on, and they said:\n${failures.join('\n')}`);
      return start('storm', proxy.port);
    };
    worker = start('storm', proxy.port);
    const plan = events(storm);
    for (const [index, event] of plan.entries()) {
      const at = (storm.lines * (index + 0.5)) / (plan.length + 1);
      for (let rows = await written(); rows < at; rows = await written()) {
        if (worker.over) {
          if (worker.succeeded)
            throw new Error(`Expected the worker to be at ${rows} of ${at} lines, and it is done`);
          worker = again();
        }
        await delay(2);
      }
      if (event === 'worker') {
        // A killed worker's transaction is rolled back, or it was committed; the next one finds out.
        await worker.kill();
        worker = start('storm', proxy.port);
        done.workerKills++;
      } else if (event === 'server') {
        await server.kill9();
        await server.start();
        done.serverKills++;
      } else {
        const cut = proxy.cutNext(event);
        await Promise.race([cut, worker.ended]);
        done.cuts++;
      }
    }
    for (;;) {
      await worker.ended;
      if (worker.succeeded) break;
      worker = again();
    }
    const difference = async (a: string, b: string): Promise<number> => {
      const text = `SELECT count(*) AS n FROM (TABLE ${a} EXCEPT ALL TABLE ${b}) AS d`;
      return Number((await admin.query<{ n: string }>(text)).rows[0]!.n);
    };
    return {
      rows: await written(),
      lost: await difference('calm', 'storm'),
      repeated: await difference('storm', 'calm'),
      ...done,
      failures,
    };
  } finally {
    await worker?.kill();
    await admin.end();
    await proxy.close();
    await server.remove();
    await rm(folder, { recursive: true, force: true });
  }
}
