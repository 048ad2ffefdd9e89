import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { basename, dirname } from 'node:path';
import { Offset } from '../../lib/offset.js';
import { FileOffsetStore, type FileOffsetStoreOptions } from '../../lib/stores/file/file-store.js';
import { type Ending, type Endings, NEW_VALUE, NEXT_SOURCE, type Operation, SOURCE } from './fire-job.js';
import { readStandings, type Standing } from './fire-reader.js';

type Standings = ReadonlyMap<string, Standing>;

/** Everything about an operation that a test must know to break into it: what is there before, and after. */
export interface Scene {
  readonly operation: Operation;
  /** The bytes of the file before; undefined where there is none. */
  readonly bytes: Buffer | undefined;
  /** What they say; undefined where they are damaged. */
  readonly before: Standings | undefined;
  readonly after: Standings;
  /** What verify() says before. */
  readonly status: string;
  /** Where the file lies in the directory of the case. */
  readonly location: string;
  /** Whether the file of before is kept under a second name once it was replaced. */
  readonly keeps: boolean;
}

export const OPERATIONS: readonly Operation[] = ['create', 'update', 'reset', 'recover', 'upgrade'];

/** @param directory - for a file that is made only to be read here */
export async function makeScenes(directory: string): Promise<Record<Operation, Scene>> {
  const path = `${directory}/model.json`;
  const store = new FileOffsetStore(path);
  for (let index = 0; index < 5; index++)
    await store.commit(`other-${index}`, Offset.sequence(BigInt(index)));
  await store.commit(SOURCE, Offset.sequence(7n), { metadata: { why: 'a test' } });
  await store.close();
  const bytes = readFileSync(path);
  const before = readStandings(bytes);
  const damaged = Buffer.from(bytes);
  const hit = damaged.indexOf('"other-3"') + 2;
  damaged.writeUInt8(damaged.readUInt8(hit) ^ 1, hit);
  const salvaged = new Map(before);
  salvaged.delete('other-3');
  const crate = Buffer.from('{"orders":{"Sequence":7},"x":{"Sequence":9007199254740993}}');
  const x: Standing = { value: 2n ** 53n + 1n, epoch: 0 };
  const changed: Standing = { value: NEW_VALUE, epoch: 0 };
  const common = { location: 'offsets.json', keeps: false };
  return {
    create: {
      ...common,
      operation: 'create',
      bytes: undefined,
      before: new Map(),
      after: new Map([[SOURCE, changed]]),
      status: 'missing',
      location: 'made/with/it/offsets.json',
    },
    update: {
      ...common,
      operation: 'update',
      bytes,
      before,
      after: new Map([...before, [SOURCE, changed]]),
      status: 'ok',
    },
    reset: {
      ...common,
      operation: 'reset',
      bytes,
      before,
      after: new Map([...before, [SOURCE, { value: NEW_VALUE, epoch: 1 }]]),
      status: 'ok',
    },
    recover: {
      ...common,
      operation: 'recover',
      bytes: damaged,
      before: undefined,
      after: salvaged,
      status: 'corrupt',
      keeps: true,
    },
    upgrade: {
      ...common,
      operation: 'upgrade',
      bytes: crate,
      before: new Map([
        [SOURCE, { value: 7n, epoch: 0 }],
        ['x', x],
      ]),
      after: new Map([
        [SOURCE, changed],
        ['x', x],
      ]),
      status: 'legacy',
      keeps: true,
    },
  };
}

/** Puts the file of before in its place. */
export async function setScene({ bytes, location }: Scene, directory: string): Promise<string> {
  const path = `${directory}/${location}`;
  if (bytes !== undefined) {
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, bytes);
  }
  return path;
}

function say(standings: Standings): string {
  return [...standings]
    .map(([source, { value, epoch }]) => `${source}=${value}@${epoch}`)
    .toSorted()
    .join(' ');
}

function expectStandings(expected: Standings, found: Standings): void {
  if (say(found) !== say(expected)) throw new Error(`Expected ${say(expected)}, got ${say(found)}`);
}

export function isUntouched({ bytes }: Scene, path: string): boolean {
  const found = existsSync(path) ? readFileSync(path) : undefined;
  return found === undefined || bytes === undefined ? found === bytes : found.equals(bytes);
}

/** Whether the file is that of before, byte for byte, or that of after; throws where it is neither. */
export function stateOf(scene: Scene, path: string): 'old' | 'new' {
  if (isUntouched(scene, path)) return 'old';
  expectStandings(scene.after, readStandings(readFileSync(path)));
  if (scene.keeps) expectKept(scene, path, 1);
  return 'new';
}

function keptFiles(path: string): string[] {
  return readdirSync(dirname(path)).filter((name) => /\.(?:corrupt|crate)-/.test(name));
}

/** Kept once; twice where the look at the second name failed, and it is not known what that names. */
function expectKept({ bytes }: Scene, path: string, atMost: number): void {
  const kept = keptFiles(path);
  const whole = kept.every((name) => bytes?.equals(readFileSync(`${dirname(path)}/${name}`)));
  if (kept.length < 1 || kept.length > atMost || !whole) {
    throw new Error(`Expected the old file to be kept, got ${kept.join(', ') || 'nothing'}`);
  }
}

/**
 * No temporary file, lock or anything else may lie about. Where something had failed, it may have been the
 * removal of an empty directory: of that of the temporary files, or of the lock, which then turns stale.
 */
function expectNoLitter({ keeps }: Scene, path: string, failed: boolean): void {
  const kept = keeps ? keptFiles(path) : [];
  const tolerated = [`${path}.tmp`, `${path}.lock`]
    .filter((directory) => failed && existsSync(directory) && readdirSync(directory).length === 0)
    .map((directory) => basename(directory));
  const expected = new Set([basename(path), ...kept, ...tolerated]);
  const litter = readdirSync(dirname(path)).filter((name) => !expected.has(name));
  if (litter.length > 0) throw new Error(`Left behind: ${litter.join(', ')}`);
}

/**
 * Shows that another process can work with the file after the case: verify() says what it should, the next
 * commit lands and changes nothing else, what was kept is what was there, and then nothing else lies about.
 */
export async function aftercare(scene: Scene, path: string, options?: FileOffsetStoreOptions): Promise<void> {
  const state = stateOf(scene, path);
  const store = new FileOffsetStore(path, options);
  const { status } = await store.verify();
  const expected = state === 'new' ? 'ok' : scene.status;
  if (status !== expected) throw new Error(`Expected verify() to say ${expected}, got ${status}`);
  if (status === 'corrupt') await store.recover();
  await store.commit(NEXT_SOURCE, Offset.sequence(1n));
  await store.close();
  expectAfterNext(scene, path, state, false);
}

function expectAfterNext(scene: Scene, path: string, state: 'old' | 'new', failed: boolean): void {
  const next: Standing = { value: 1n, epoch: 0 };
  const rest = (state === 'old' ? scene.before : scene.after) ?? scene.after;
  expectStandings(new Map([...rest, [NEXT_SOURCE, next]]), readStandings(readFileSync(path)));
  if (scene.keeps) expectKept(scene, path, failed ? 2 : 1);
  expectNoLitter(scene, path, failed);
}

/**
 * Holds what a process said of an operation in which one call failed, and of its next commit, against the
 * file that the two left. Gives what came of the operation.
 *
 * @param cause - the code of the failure; undefined where the error has another cause, or none
 */
export function expectTruth(
  scene: Scene,
  path: string,
  { operation, next }: Endings,
  cause: string | undefined,
): 'old' | 'new' | 'unknown' {
  if (next === undefined) throw new Error('Expected a second commit');
  if (!operation.ok) expectTyped(operation, cause);
  const state = operation.ok || operation.code === 'OFFSET_DURABILITY_UNKNOWN' ? 'new' : 'old';
  if (state === 'old' && scene.before === undefined) {
    // What could not be recovered stays as it is, and says so again.
    if (next.code !== 'OFFSET_CORRUPT') throw new Error(`Expected OFFSET_CORRUPT, got ${next.code}`);
    if (!isUntouched(scene, path)) throw new Error('The damaged file was touched');
    return state;
  }
  if (!next.ok) throw new Error(`Expected the next commit to land, got ${next.message}`);
  expectAfterNext(scene, path, state, true);
  return operation.ok || state === 'old' ? state : 'unknown';
}

/** The code of the cause must be that of the failure, and the message must name it. */
function expectTyped(ending: Ending, cause: string | undefined): void {
  const { name, code, cause: found, message = '' } = ending;
  const typed = name === 'OffsetIoError' && (code === 'OFFSET_IO' || code === 'OFFSET_DURABILITY_UNKNOWN');
  if (!typed || found !== cause || (cause !== undefined && !message.includes(cause))) {
    throw new Error(`Expected an OffsetIoError for ${cause}, got ${JSON.stringify(ending)}`);
  }
}
