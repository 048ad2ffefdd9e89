import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { accessSync, readdirSync, readFileSync } from 'node:fs';
import { chown, mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';

/** Debian's binaries, the newest; undefined where there are none. */
function findBinaries(): string | undefined {
  try {
    return readdirSync('/usr/lib/postgresql')
      .toSorted((a, b) => Number(b) - Number(a))
      .map((version) => `/usr/lib/postgresql/${version}/bin`)
      .find((folder) => {
        accessSync(path.join(folder, 'initdb'));
        return true;
      });
  } catch {
    return undefined;
  }
}

/** The server refuses to run as root. */
function serverUser(): { uid: number; gid: number } | undefined {
  if (process.getuid?.() !== 0) return undefined;
  const line = /^postgres:[^:]*:(\d+):(\d+):/m.exec(readFileSync('/etc/passwd', 'utf8'));
  if (line === null) throw new Error('Expected a user "postgres" to run the server as');
  return { uid: Number(line[1]), gid: Number(line[2]) };
}

/** A Postgres of our own on a free loopback port, with the durability that it has by default. */
export interface PostgresServer {
  readonly url: string;
  stop(): Promise<void>;
}

/** Undefined where there is no Postgres on this machine. */
export async function startPostgres(): Promise<PostgresServer | undefined> {
  const binaries = findBinaries();
  if (binaries === undefined) return undefined;
  const user = serverUser();
  const folder = await mkdtemp(path.join(tmpdir(), 'streamweave-offset-bench-'));
  if (user !== undefined) await chown(folder, user.uid, user.gid);
  const data = path.join(folder, 'data');
  const options = { ...user, cwd: folder };
  await promisify(execFile)(
    path.join(binaries, 'initdb'),
    ['--no-sync', '--auth=trust', '--username=postgres', '--encoding=UTF8', '--locale=C', '--pgdata', data],
    options,
  );
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const { port } = probe.address() as { port: number };
  probe.close();
  await once(probe, 'close');
  const settings = [
    'listen_addresses=127.0.0.1',
    'unix_socket_directories=',
    `port=${port}`,
    'lc_messages=C',
  ];
  const server = spawn(
    path.join(binaries, 'postgres'),
    ['-D', data, ...settings.flatMap((setting) => ['-c', setting])],
    { ...options, stdio: ['ignore', 'ignore', 'pipe'] },
  );
  const exited = once(server, 'exit');
  const stop = async (): Promise<void> => {
    server.kill('SIGINT');
    await exited;
    await rm(folder, { recursive: true, force: true });
  };
  const ready = new Promise<boolean>((resolve) => {
    let said = '';
    server.stderr.setEncoding('utf8').on('data', (text: string) => {
      said = (said + text).slice(-10_000);
      if (said.includes('ready to accept connections')) resolve(true);
    });
    void exited.then(() => resolve(false));
  });
  if (!(await ready)) {
    await stop();
    throw new Error('Expected Postgres to start');
  }
  return { url: `postgres://postgres@127.0.0.1:${port}/postgres`, stop };
}
