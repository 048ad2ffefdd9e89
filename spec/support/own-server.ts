/** What servers that specs start for themselves have in common. */
import { type ChildProcess, spawn, type SpawnOptions, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';

/** A port of the loopback interface that nobody listens on. */
export async function freePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const { port } = probe.address() as { port: number };
  probe.close();
  await once(probe, 'close');
  return port;
}

let setpriv: boolean | undefined;

/**
 * Starts a program that the system kills with this process, however that ends: a hook that ran out of time, or a
 * SIGKILL of the tests, leaves no server behind. (A listener of `process` for its exit is not called in jest's sandbox.)
 * Where there is no `setpriv`, which is everywhere but on Linux, it is started as it is.
 */
export function spawnBound(program: string, args: readonly string[], options: SpawnOptions): ChildProcess {
  setpriv ??= spawnSync('setpriv', ['--pdeathsig', 'KILL', 'true']).status === 0;
  return setpriv
    ? spawn('setpriv', ['--pdeathsig', 'KILL', program, ...args], options)
    : spawn(program, args, options);
}
