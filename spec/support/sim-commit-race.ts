/**
 * The scenario of the exhaustive search: a few processes that each commit to a source of their own in one
 * shared file, with a lock that everybody has.
 */
import { posix } from 'node:path';
import { OffsetError } from '../../lib/errors.js';
import { FileOffsetStore } from '../../lib/stores/file/file-store.js';
import { noLock } from './file-fs.js';
import type { Scenario } from './sim-explore.js';
import { SimDisk, type SimDiskOptions } from './sim-fs.js';
import type { Mutation } from './sim-mutants.js';
import { Oracle } from './sim-oracle.js';
import { type Outcome, type PendingCall, settled, type SimProcess, World } from './sim-world.js';

export const RACE_PATH = '/store/offsets.json';

export interface RaceOptions {
  readonly processes: number;
  /** How many each process makes, one after the other. */
  readonly commits: number;
  /** Whether each has committed before, and so holds the file open as it was then. */
  readonly warm: boolean;
  /** How often a process tries before it gives up, which a process without a lock must at some time. */
  readonly tries: number;
  readonly mutation?: Mutation | undefined;
  /** Called after each call, those of the preparation included, before the process goes on. */
  readonly onCall?: ((call: PendingCall, outcome: Outcome, disk: SimDisk) => void) | undefined;
}

/** A disk with the store's directory on it, which has long been there. */
export function simDisk(options?: SimDiskOptions): SimDisk {
  const disk = new SimDisk(options);
  const owner = {};
  const calls = disk.callsOf(owner);
  calls.mkdir(posix.dirname(RACE_PATH));
  calls.fsync(calls.open('/', 'r'));
  disk.closeAll(owner);
  return disk;
}

export async function buildRace({
  processes,
  commits,
  warm,
  tries,
  mutation,
  onCall,
}: RaceOptions): Promise<Scenario> {
  const disk = simDisk({ numbersByProcess: true });
  const world = new World({
    disk,
    callsFor: (calls, process) => mutation?.(calls, process, disk, RACE_PATH) ?? calls,
    onCall: (call, outcome) => onCall?.(call, outcome, disk),
  });
  world.frozen = true;
  const oracle = new Oracle(disk, RACE_PATH);
  const scenario = { world, disk, oracle };
  let begin = (): void => {};
  const begun = new Promise<void>((resolve) => {
    begin = resolve;
  });

  const commit = async (store: FileOffsetStore, source: string, offset: number): Promise<void> => {
    try {
      await store.commit(source, offset);
    } catch (error) {
      if (!(error instanceof OffsetError) || error.code !== 'OFFSET_LOCK_TIMEOUT') throw error;
      oracle.refuse(source, BigInt(offset));
      return;
    }
    oracle.acknowledge(source, { epoch: 0, offset: BigInt(offset) });
  };
  const program = async (process: SimProcess): Promise<void> => {
    const store = new FileOffsetStore(RACE_PATH, {
      ...process.storeOptions(),
      lock: noLock,
      // The clock of each process counts its pauses, and there is one between two tries.
      lockTimeoutMs: tries - 1,
      lockHoldMs: 0,
    });
    if (warm) await commit(store, process.name, 0);
    await begun;
    for (let offset = 1; offset <= commits; offset++) await commit(store, process.name, offset);
  };

  for (let id = 0; id < processes; id++) world.start(program);
  await settled();
  for (const process of world.processes) {
    await runUntil(scenario, process, () => false);
  }
  begin();
  await settled();
  // A process prepares itself once. In which ways those of several may mix is for the random schedules.
  for (const process of world.processes) {
    await runUntil(scenario, process, ({ name, args: [, flags] }) => name === 'open' && flags === 'wx+');
  }
  return scenario;
}

/** Lets one process go on alone, up to such a call, or as far as it can. */
async function runUntil(
  { world, oracle }: Scenario,
  process: SimProcess,
  reached: (call: PendingCall) => boolean,
): Promise<void> {
  for (;;) {
    const [call] = process.pending;
    if (call === undefined || reached(call)) return;
    await world.open(call);
    oracle.check();
  }
}

/** Whether the last call of the process was a rename of a token that had been swept. */
function hasLost(process: SimProcess): boolean {
  const last = process.world.trace.findLast(({ call }) => call.process === process);
  return last?.call.name === 'rename' && !last.outcome.ok;
}

/**
 * Whether another process can notice the call: see explore(). A call on the name of a token that is gone is not
 * among them, since no token's name is ever used again; nor is the look at the file after a rename that failed,
 * since it can only say that the file is not the token, which has no name any more; nor the making of a directory
 * that is there, since in a race nobody removes it.
 */
export function noticeable(disk: SimDisk, { process, name, args }: PendingCall): boolean {
  const [target, flags] = args;
  const tokens = `${RACE_PATH}.tmp`;
  switch (name) {
    case 'open':
      return target === RACE_PATH || (typeof flags === 'string' && flags.startsWith('w'));
    case 'stat':
      return target === RACE_PATH && !hasLost(process);
    case 'readdir':
      return target === tokens;
    case 'mkdir':
      return disk.find(target as string) === undefined;
    case 'unlink':
    case 'rename':
      return disk.find(target as string) !== undefined;
    case 'fsync':
      return disk.inodeOf(process, target as number) === disk.find(posix.dirname(RACE_PATH));
    default:
      return false;
  }
}
