/** A real Postgres of a spec's own: Debian's binaries, a free loopback port, a data directory of its own. */
import { type ChildProcess, execFile } from 'node:child_process';
import { once } from 'node:events';
import { accessSync, constants, readdirSync, readFileSync } from 'node:fs';
import { appendFile, chmod, chown, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { freePort, spawnBound } from './own-server.js';

const run = promisify(execFile);

const USER = 'postgres';
const PASSWORD = 'a secret: @/';

/** How long a start may take, the recovery after a kill included, on a machine that has much else to do. */
const START_TIMEOUT_MS = 60_000;

/** For the hooks that start servers, and the tests that wait for them. */
export const WITH_SERVER_MS = 2 * START_TIMEOUT_MS;

/** The newest of Debian's versions, or what the PATH has; undefined where there is none. */
function findPostgres(): string | undefined {
  let versions: string[] = [];
  try {
    versions = readdirSync('/usr/lib/postgresql').toSorted((a, b) => Number(b) - Number(a));
  } catch {
    // Not Debian: the PATH is all there is.
  }
  const folders = [
    ...versions.map((version) => `/usr/lib/postgresql/${version}/bin`),
    ...(process.env['PATH'] ?? '').split(delimiter),
  ];
  return folders.find((folder) => {
    try {
      accessSync(join(folder, 'initdb'), constants.X_OK);
      accessSync(join(folder, 'postgres'), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

/** Why there is no server to start here; undefined where there is one. */
export function missingPostgres(): string | undefined {
  return findPostgres() === undefined
    ? 'there is no initdb and postgres in /usr/lib/postgresql/*/bin or the PATH (apt-get install postgresql)'
    : undefined;
}

/** The server refuses to run as root, so under root it runs as the user that its package made. */
function identity(): { uid: number; gid: number } | undefined {
  if (process.getuid?.() !== 0) return undefined;
  const line = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .find((entry) => entry.startsWith('postgres:'));
  const [, , uid, gid] = line?.split(':') ?? [];
  if (uid === undefined || gid === undefined) {
    throw new Error('Expected a user "postgres" to run the server as, for it refuses to run as root');
  }
  return { uid: Number(uid), gid: Number(gid) };
}

export interface UrlParts {
  readonly user?: string;
  readonly password?: string;
  readonly port?: number;
  readonly database?: string;
}

export class PostgresServer {
  readonly port: number;
  readonly #binaries: string;
  readonly #directory: string;
  #process: ChildProcess | undefined;
  #log = '';

  private constructor(binaries: string, directory: string, port: number) {
    this.#binaries = binaries;
    this.#directory = directory;
    this.port = port;
  }

  /**
   * Starts a server whose user `postgres` may do everything.
   *
   * @param settings - lines of postgresql.conf beside the spec's own
   */
  static async start(settings: readonly string[] = []): Promise<PostgresServer> {
    return await PostgresServer.#make(settings, async (server, data) => {
      const passwordFile = join(server.#directory, 'password');
      await writeFile(passwordFile, PASSWORD);
      await server.#own(passwordFile);
      // A language's own order of letters, so that whatever forgets to compare bytes is found out.
      const locale = ['--locale=C', '--locale-provider=icu', '--icu-locale=en-US'];
      const auth = ['--auth=scram-sha-256', `--pwfile=${passwordFile}`, `--username=${USER}`];
      const args = ['--no-sync', '--encoding=UTF8', ...locale, ...auth, '--pgdata', data];
      await run(join(server.#binaries, 'initdb'), args, { ...identity(), cwd: server.#directory });
    });
  }

  /** A read-only replica: a copy of this server's data, which has to be stopped meanwhile, in standby. */
  async copyAsReplica(): Promise<PostgresServer> {
    if (this.#process !== undefined) throw new Error('Expected the server to be stopped while it is copied');
    return await PostgresServer.#make([], async (replica, data) => {
      await run('cp', ['-r', this.#data, data], { ...identity() });
      await writeFile(join(data, 'standby.signal'), '');
      await replica.#own(join(data, 'standby.signal'));
    });
  }

  static async #make(
    settings: readonly string[],
    fill: (server: PostgresServer, data: string) => Promise<unknown>,
  ): Promise<PostgresServer> {
    const binaries = findPostgres();
    if (binaries === undefined) throw new Error('Expected a Postgres on this machine');
    const directory = await mkdtemp(join(tmpdir(), 'streamweave-offset-postgres-'));
    const server = new PostgresServer(binaries, directory, await freePort());
    try {
      await chmod(directory, 0o700);
      await server.#own(directory);
      await fill(server, server.#data);
      const configuration = [
        `port = ${server.port}`,
        "listen_addresses = '127.0.0.1'",
        "unix_socket_directories = ''",
        'fsync = on',
        'synchronous_commit = on',
        'shared_buffers = 32MB',
        'max_connections = 150',
        "lc_messages = 'C'",
        ...settings,
      ];
      await appendFile(join(server.#data, 'postgresql.conf'), `\n${configuration.join('\n')}\n`);
      await server.start();
    } catch (error) {
      await server.remove();
      throw error;
    }
    return server;
  }

  get #data(): string {
    return join(this.#directory, 'data');
  }

  /** What the server has said since its last start. */
  get log(): string {
    return this.#log;
  }

  get pid(): number | undefined {
    return this.#process?.pid;
  }

  url({ user = USER, password = PASSWORD, port = this.port, database = 'postgres' }: UrlParts = {}): string {
    return `postgres://${user}:${encodeURIComponent(password)}@127.0.0.1:${port}/${database}`;
  }

  /** Starts it on the same port with the same data; resolves when it takes connections. */
  async start(): Promise<void> {
    const deadline = Date.now() + START_TIMEOUT_MS;
    for (;;) {
      this.#log = '';
      const child = spawnBound(join(this.#binaries, 'postgres'), ['-D', this.#data], {
        ...identity(),
        cwd: this.#directory,
        stdio: ['ignore', 'ignore', 'pipe'],
      });
      const exited = once(child, 'exit');
      const ready = new Promise<boolean>((resolve) => {
        child.stderr!.setEncoding('utf8').on('data', (text: string) => {
          this.#log = (this.#log + text).slice(-20_000);
          if (/ready to accept (?:read-only )?connections/.test(this.#log)) resolve(true);
        });
        exited.then(
          () => resolve(false),
          () => resolve(false),
        );
      });
      if (await Promise.race([ready, delay(deadline - Date.now(), false, { ref: false })])) {
        this.#process = child;
        return;
      }
      child.kill('SIGKILL');
      await exited;
      // After a kill, what is left of the old server's processes may hold its memory for a moment longer.
      if (Date.now() > deadline || !/still in use|Address already in use|lock file/.test(this.#log)) {
        throw new Error(`Expected Postgres to start, and it said:\n${this.#log}`);
      }
      await delay(20);
    }
  }

  /** SIGKILL to the server and to every process of its connections, as when the machine's memory ran out. */
  async kill9(): Promise<void> {
    const child = this.#process;
    if (child?.pid === undefined) return;
    this.#process = undefined;
    const workers = childrenOf(child.pid);
    const exited = once(child, 'exit');
    child.kill('SIGKILL');
    for (const worker of workers) {
      try {
        process.kill(worker, 'SIGKILL');
      } catch {
        // It has ended by itself.
      }
    }
    await exited;
  }

  /** An orderly end: connections are cut, and what they had not committed is rolled back. */
  async stop(): Promise<void> {
    const child = this.#process;
    if (child === undefined) return;
    this.#process = undefined;
    const exited = once(child, 'exit');
    child.kill('SIGINT');
    await exited;
  }

  /** Ends it in whatever way is fastest, and removes its data. */
  async remove(): Promise<void> {
    await this.kill9();
    await rm(this.#directory, { recursive: true, force: true, maxRetries: 5 });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.remove();
  }

  async #own(path: string): Promise<void> {
    const owner = identity();
    if (owner !== undefined) await chown(path, owner.uid, owner.gid);
  }
}

function childrenOf(pid: number): number[] {
  try {
    const text = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8');
    return text.split(' ').filter(Boolean).map(Number);
  } catch {
    // Not Linux: they notice by themselves that the server is gone.
    return [];
  }
}
