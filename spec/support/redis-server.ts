import { type ChildProcess, execFile, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';
import { freePort, spawnBound } from './own-server.js';

/** Directives of redis.conf by name, such as `{ appendonly: 'yes', requirepass: 'secret' }`. */
export type RedisConfig = Readonly<Record<string, string>>;

const QUIET: RedisConfig = {
  bind: '127.0.0.1',
  save: '',
  appendonly: 'no',
  'repl-diskless-sync-delay': '0',
};

/** What survives kill -9 of the server with everything that it acknowledged. */
export const DURABLE: RedisConfig = { appendonly: 'yes', appendfsync: 'always' };

/** Why no server can be started here; undefined where one can. */
export function missingRedis(): string | undefined {
  return spawnSync('redis-server', ['--version']).error === undefined
    ? undefined
    : 'there is no redis-server on the PATH';
}

/** A redis-server of our own, on a free loopback port and in a temporary directory of its own. */
export class RedisServer {
  readonly port: number;
  readonly directory: string;
  readonly #config: RedisConfig;
  #process: ChildProcess | undefined;
  #exited: Promise<unknown> = Promise.resolve();

  private constructor(port: number, directory: string, config: RedisConfig) {
    this.port = port;
    this.directory = directory;
    this.#config = config;
  }

  /** Resolves when it accepts connections. */
  static async start(config: RedisConfig = {}): Promise<RedisServer> {
    const directory = await mkdtemp(join(tmpdir(), 'streamweave-redis-'));
    for (let tries = 1; ; tries += 1) {
      const server = new RedisServer(await freePort(), directory, { ...QUIET, ...config });
      try {
        await server.start();
        return server;
      } catch (error) {
        // Somebody else may have taken the port meanwhile.
        if (tries < 5) continue;
        await rm(directory, { recursive: true, force: true });
        throw error;
      }
    }
  }

  get url(): string {
    return `redis://127.0.0.1:${this.port}`;
  }

  get pid(): number {
    const pid = this.#process?.pid;
    if (pid === undefined) throw new Error('Expected the redis-server to run');
    return pid;
  }

  /** Starts it, on the data that it left when it ran before; further directives are for this time only. */
  async start(further: RedisConfig = {}): Promise<void> {
    const directives = { ...this.#config, ...further, port: String(this.port), dir: this.directory };
    const args = Object.entries(directives).flatMap(([name, value]) => [`--${name}`, value]);
    const child = spawnBound('redis-server', args, { stdio: ['ignore', 'pipe', 'ignore'] });
    this.#process = child;
    this.#exited = once(child, 'exit');
    const lines: string[] = [];
    await new Promise<void>((resolve, reject) => {
      child.once('error', reject);
      child.once('exit', (code) =>
        reject(new Error(`redis-server ended with code ${code}:\n${lines.join('\n')}`)),
      );
      const reader = createInterface({ input: child.stdout! });
      reader.on('line', (line) => {
        if (line.includes('Ready to accept connections')) resolve();
        // What it says later is of no interest, but has to be read, or else the pipe fills up.
        else if (lines.length < 100) lines.push(line);
      });
    });
  }

  /** kill -9. */
  async kill(): Promise<void> {
    this.#process?.kill('SIGKILL');
    await this.#exited;
    this.#process = undefined;
  }

  /** Ends it, and removes its data. */
  async stop(): Promise<void> {
    await this.kill();
    await rm(this.directory, { recursive: true, force: true });
  }

  /** What redis-cli answers. */
  async cli(...args: string[]): Promise<string> {
    const { stdout } = await promisify(execFile)('redis-cli', ['-p', String(this.port), ...args], {
      env: { ...process.env, REDISCLI_AUTH: this.#config['requirepass'] },
    });
    return stdout.trim();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }
}

/** Three masters, with a third of the slots each. */
export class RedisCluster {
  private constructor(readonly nodes: readonly RedisServer[]) {}

  static async start(config: RedisConfig = {}): Promise<RedisCluster> {
    const nodes: RedisServer[] = [];
    const cluster = new RedisCluster(nodes);
    try {
      for (let node = 0; node < 3; node += 1) {
        nodes.push(
          await RedisServer.start({
            'cluster-enabled': 'yes',
            'cluster-port': String(await freePort()),
            'cluster-require-full-coverage': 'yes',
            ...config,
          }),
        );
      }
      const [first] = nodes as [RedisServer, RedisServer, RedisServer];
      const bounds = [0, 5461, 10_923, 16_384];
      for (const [index, node] of nodes.entries()) {
        await node.cli(
          'CLUSTER',
          'ADDSLOTSRANGE',
          String(bounds[index]),
          String((bounds[index + 1] as number) - 1),
        );
        await node.cli('CLUSTER', 'SET-CONFIG-EPOCH', String(index + 1));
      }
      for (const node of nodes.slice(1)) {
        const port = (await node.cli('CONFIG', 'GET', 'cluster-port')).split('\n')[1] as string;
        await first.cli('CLUSTER', 'MEET', '127.0.0.1', String(node.port), port);
      }
      const deadline = Date.now() + 15_000;
      for (const node of nodes) {
        for (;;) {
          const info = await node.cli('CLUSTER', 'INFO');
          if (info.includes('cluster_state:ok') && info.includes('cluster_known_nodes:3')) break;
          if (Date.now() > deadline) throw new Error(`Waited 15 s for the cluster:\n${info}`);
          await new Promise((resolve) => setTimeout(resolve, 20));
        }
      }
      return cluster;
    } catch (error) {
      await cluster.stop();
      throw error;
    }
  }

  get addresses(): Array<{ host: string; port: number }> {
    return this.nodes.map(({ port }) => ({ host: '127.0.0.1', port }));
  }

  /** The node that holds the key's slot, and one that does not. */
  async holderOf(key: string): Promise<{ holder: RedisServer; other: RedisServer }> {
    const slot = Number(await this.nodes[0]?.cli('CLUSTER', 'KEYSLOT', key));
    const index = slot < 5461 ? 0 : slot < 10_923 ? 1 : 2;
    return {
      holder: this.nodes[index] as RedisServer,
      other: this.nodes[(index + 1) % 3] as RedisServer,
    };
  }

  async stop(): Promise<void> {
    await Promise.all(this.nodes.map((node) => node.stop()));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }
}
