/**
 * What must hold after every step of every schedule. It looks at the disk itself, not through a store:
 *
 * - The file, once there, stays, and its bytes verify at every moment.
 * - Each version of it is made from the one that it replaces: its generation is one more, no source went
 *   missing, no epoch went down, and no offset within an epoch.
 * - Whatever was acknowledged stands in the file, or something newer does; and it also stands in every file
 *   that a power loss at this moment may leave, and every one of those verifies.
 * - What a process reads never goes back, and is no older than what was acknowledged before it asked.
 */
import { type Contents, decode, loadSerializer } from '../../lib/stores/file/codec.js';
import type { SimDisk, SimInode } from './sim-fs.js';

/** How far a source has come: by epoch, and within it by offset; -1 where there is none. */
export interface Position {
  readonly epoch: number;
  readonly offset: bigint;
}

/** A promise of the store that was seen broken. */
export class Violation extends Error {}

const START: Position = { epoch: 0, offset: -1n };

const isBefore = (a: Position, b: Position): boolean =>
  a.epoch < b.epoch || (a.epoch === b.epoch && a.offset < b.offset);

const show = ({ epoch, offset }: Position): string => `offset ${offset} of epoch ${epoch}`;

// The bytes of a simulated file are never changed in place, so that one look at them is enough.
const decoded = new WeakMap<Buffer, Contents | Error>();

function contentsOf(bytes: Buffer): Contents {
  let contents = decoded.get(bytes);
  if (contents === undefined) {
    try {
      contents = decode(bytes, new Date(0));
    } catch (error) {
      contents = error as Error;
    }
    decoded.set(bytes, contents);
  }
  if (contents instanceof Error) throw contents;
  return contents;
}

function positionIn(contents: Contents | undefined, source: string): Position {
  const state = contents?.entries.get(source)?.state;
  if (state === undefined) return START;
  const { epoch, offset } = state;
  if (offset === undefined) return { epoch, offset: -1n };
  if (offset.kind !== 'sequence')
    throw new Violation(`Source ${source} has an offset of kind ${offset.kind}`);
  return { epoch, offset: offset.value };
}

export class Oracle {
  #disk: SimDisk;
  readonly path: string;
  readonly #acknowledged = new Map<string, Position>();
  readonly #seen = new Map<string, Position>();
  #inode: SimInode | undefined;
  #contents: Contents | undefined;
  /** The disk's count of changes when everything was last looked at; -1 when it must be looked at again. */
  #checked = -1;
  /** How many versions of the file were seen. */
  versions = 0;

  constructor(disk: SimDisk, path: string) {
    this.#disk = disk;
    this.path = path;
  }

  /** To be awaited once, before anything else: metadata is not simulated, but its decoder may be asked for. */
  static async prepare(): Promise<void> {
    await loadSerializer();
  }

  /** How far the source is in the file now. */
  position(source: string): Position {
    return positionIn(this.#contents, source);
  }

  acknowledged(source: string): Position {
    return this.#acknowledged.get(source) ?? START;
  }

  /** What was acknowledged, as text. */
  key(): string {
    return Array.from(this.#acknowledged, ([source, { epoch, offset }]) => `${source}=${epoch}:${offset}`)
      .toSorted()
      .join();
  }

  /** A commit, reset or claim has resolved. */
  acknowledge(source: string, position: Position): void {
    if (!isBefore(this.acknowledged(source), position)) return;
    this.#acknowledged.set(source, position);
    this.#checked = -1;
  }

  /**
   * A read has resolved.
   *
   * @param reader - who must never see the source go back
   * @param since - what was acknowledged when the read began
   */
  read(reader: string, source: string, since: Position, position: Position | undefined): void {
    const found = position ?? START;
    const key = `${reader} ${source}`;
    const last = this.#seen.get(key) ?? START;
    if (isBefore(found, last)) {
      throw new Violation(`${reader} read ${show(found)} of ${source} after ${show(last)}`);
    }
    if (isBefore(found, since)) {
      throw new Violation(
        `${reader} read ${show(found)} of ${source}, and ${show(since)} was acknowledged before`,
      );
    }
    this.#seen.set(key, found);
  }

  /** A commit was rejected, so it must not be in the file. For sources that have one writer. */
  refuse(source: string, offset: bigint): void {
    this.check();
    if (this.position(source).offset >= offset) {
      throw new Violation(`Offset ${offset} of ${source} was refused, and is in the file`);
    }
  }

  /** After every step. */
  check(): void {
    if (this.#checked === this.#disk.changes) return;
    const inode = this.#disk.find(this.path);
    if (inode !== this.#inode) this.#checkVersion(inode);
    this.#checkAcknowledged(this.#contents, 'The file');
    for (const candidate of this.#disk.afterPowerLoss(this.path)) {
      if (candidate?.kind === 'directory') throw new Violation('A directory stands in place of the file');
      if (candidate !== undefined && candidate.durable !== candidate.data) {
        throw new Violation('After a power loss now, the file could hold bytes that were never flushed');
      }
      this.#checkAcknowledged(
        candidate === undefined ? undefined : this.#verified(candidate.data, 'The file after a power loss'),
        'After a power loss now, the file',
      );
    }
    this.#checked = this.#disk.changes;
  }

  /** The machine was restarted: the disk is another, and processes of another name will read. */
  restart(disk: SimDisk): void {
    this.#disk = disk;
    this.#checked = -1;
    const inode = disk.find(this.path);
    this.#inode = inode;
    this.#contents =
      inode?.kind === 'file' ? this.#verified(inode.data, 'The file after the power loss') : undefined;
    this.#checkAcknowledged(this.#contents, 'After the power loss, the file');
  }

  #verified(bytes: Buffer, what: string): Contents {
    try {
      return contentsOf(bytes);
    } catch (error) {
      throw new Violation(`${what} does not verify: ${(error as Error).message}`, { cause: error });
    }
  }

  #checkVersion(inode: SimInode | undefined): void {
    if (inode?.kind !== 'file') throw new Violation('The file is gone');
    const before = this.#contents;
    const after = this.#verified(inode.data, 'The file');
    const generation = Math.max(before?.generation ?? 0, 0) + 1;
    if (after.generation !== generation) {
      throw new Violation(
        `Generation ${after.generation} took the place of generation ${before?.generation ?? 'none'}: ` +
          'its writer had not read what it replaced',
      );
    }
    for (const { source } of before?.entries.list ?? []) {
      const [from, to] = [positionIn(before, source), positionIn(after, source)];
      if (isBefore(to, from)) {
        throw new Violation(`Source ${source} went back from ${show(from)} to ${show(to)}`);
      }
    }
    this.#inode = inode;
    this.#contents = after;
    this.versions += 1;
  }

  #checkAcknowledged(contents: Contents | undefined, what: string): void {
    for (const [source, position] of this.#acknowledged) {
      const found = positionIn(contents, source);
      if (isBefore(found, position)) {
        throw new Violation(
          `${what} has ${source} at ${show(found)}, and ${show(position)} was acknowledged`,
        );
      }
    }
  }
}
