import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';

/** How often the parent looks how far the worker is. */
const LOOK_EVERY_MS = 2;

/** A worker that ended by itself and not well. */
export class WorkerError extends Error {}

/**
 * One life of a worker: it ends by itself, or is killed with SIGKILL. Tells which.
 *
 * @param job - goes to the worker as JSON
 * @param onReport - what the worker sends
 * @param isDue - asked every few milliseconds; true for the worker to be killed
 * @throws WorkerError when it ends by itself and not well; the signal's reason when that is aborted
 */
export async function live(
  program: string,
  job: unknown,
  signal: AbortSignal,
  onReport: (report: unknown) => void,
  isDue: () => boolean,
): Promise<'killed' | 'done'> {
  const worker = fork(program, [JSON.stringify(job)], {
    stdio: ['ignore', 'inherit', 'pipe', 'ipc'],
  });
  worker.on('message', onReport);
  const said = collect(worker);
  // The reports that a worker sent before its death come in before the channel is closed.
  const ended = Promise.all([once(worker, 'exit'), once(worker, 'disconnect')]);
  ended.catch(() => undefined);
  const lives = (): boolean => worker.exitCode === null && worker.signalCode === null;
  const kill = (): boolean => worker.kill('SIGKILL');
  signal.addEventListener('abort', kill, { once: true });
  try {
    while (lives() && !signal.aborted) {
      await Promise.race([ended, delay(LOOK_EVERY_MS)]);
      if (lives() && isDue()) {
        kill();
        break;
      }
    }
    if (signal.aborted) kill();
    await ended;
  } finally {
    signal.removeEventListener('abort', kill);
  }
  signal.throwIfAborted();
  if (worker.signalCode === 'SIGKILL') return 'killed';
  if (worker.exitCode === 0) return 'done';
  throw new WorkerError(
    `The worker ended by itself with ${worker.signalCode ?? `exit code ${worker.exitCode}`}:\n${said()}`,
  );
}

/** The end of what the worker writes on stderr. */
function collect(worker: ChildProcess): () => string {
  let text = '';
  worker.stderr?.setEncoding('utf8').on('data', (chunk: string) => {
    text = (text + chunk).slice(-4000);
  });
  return () => text.trim();
}
