/**
 * A file system in memory that behaves as a Linux one does, in what the file store can notice: names and
 * inodes apart, link counts, unlinked files that live on as long as they are open, inode numbers that are
 * used again as soon as they are free (as ext4 does), and two states of everything: what processes see, and
 * what a power loss leaves. Calls are synchronous and atomic; who calls when is the business of a scheduler.
 *
 * What a power loss leaves, made as bad as the standards allow: the bytes of a file that were there at its last
 * fsync for certain, and of later ones any part, or NULs; the names of a directory that were there at its last
 * fsync for certain, and of each name changed since, independently of the others, any of the states that it
 * went through. So the two halves of a rename may part.
 */
import { constants } from 'node:fs';
import { posix } from 'node:path';
import type { FileStat, FileSystem } from '../../lib/stores/file/io.js';
import type { Random } from './fire-random.js';

type Methods = Omit<FileSystem, 'windows'>;

/** The calls of {@link FileSystem}, synchronous: they return or throw. */
export type SimCalls = {
  [Name in keyof Methods]: (...args: Parameters<Methods[Name]>) => Awaited<ReturnType<Methods[Name]>>;
};

export type SimCallName = keyof SimCalls;

/** Inode numbers: the least one that is free. */
class Numbers {
  #next: number;
  readonly #free: number[] = [];

  constructor(first: number) {
    this.#next = first;
  }

  take(): number {
    if (this.#free.length === 0) return this.#next++;
    const least = Math.min(...this.#free);
    this.#free.splice(this.#free.indexOf(least), 1);
    return least;
  }

  give(number: number): void {
    this.#free.push(number);
  }

  key(): string {
    return `${this.#free.toSorted((a, b) => a - b).join()}..${this.#next}`;
  }
}

interface SimNode {
  readonly numbers: Numbers;
  /** The number by which processes know it; another's, once this one is free. */
  ino: number;
  mode: number;
  uid: number;
  gid: number;
  nlink: number;
  opens: number;
  mtimeMs: number;
}

export interface SimFile extends SimNode {
  readonly kind: 'file';
  /** Replaced at every write and never changed, so that it stands for its content. */
  data: Buffer;
  /** What was there at the last fsync. */
  durable: Buffer;
}

export interface SimDirectory extends SimNode {
  readonly kind: 'directory';
  readonly entries: Map<string, SimInode>;
  /** For each name that was changed since the last fsync: what it stood for, the oldest first. */
  readonly past: Map<string, (SimInode | undefined)[]>;
}

export type SimInode = SimFile | SimDirectory;

interface Descriptor {
  readonly inode: SimInode;
  readonly readable: boolean;
  readonly writable: boolean;
}

const NOTHING = Buffer.alloc(0);

export function simError(code: string, call: string, path: string): Error {
  return Object.assign(new Error(`${code}: simulated, ${call} '${path}'`), { code });
}

interface Access {
  readonly readable: boolean;
  readonly writable: boolean;
  readonly create: boolean;
  readonly exclusive: boolean;
}

function accessOf(flags: string | number): Access {
  if (typeof flags === 'number') {
    // oxlint-disable-next-line no-bitwise -- flags are bits.
    const mode = flags & (constants.O_WRONLY | constants.O_RDWR);
    if (mode !== constants.O_RDONLY) throw new Error(`The simulation opens with numbers only for reading`);
    return { readable: true, writable: false, create: false, exclusive: false };
  }
  switch (flags) {
    case 'r':
      return { readable: true, writable: false, create: false, exclusive: false };
    case 'r+':
      return { readable: true, writable: true, create: false, exclusive: false };
    case 'wx':
      return { readable: false, writable: true, create: true, exclusive: true };
    case 'wx+':
      return { readable: true, writable: true, create: true, exclusive: true };
    default:
      throw new Error(`The simulation does not know the flags ${flags}`);
  }
}

export interface SimDiskOptions {
  /** In milliseconds since 1970; for time stamps. Default: always 0. */
  readonly now?: (() => number) | undefined;
  /**
   * Whether each process gets inode numbers of its own range, so that they do not tell in which order
   * processes made their files. Default: all take the least that is free.
   */
  readonly numbersByProcess?: boolean | undefined;
}

export class SimDisk {
  /** Goes up with every change that a process, or a power loss, could tell. */
  changes = 0;
  readonly #root: SimDirectory;
  /** The table of each process: the same process gets the same numbers, whatever the others do. */
  readonly #descriptors = new Map<object, Map<number, Descriptor>>();
  readonly #options: SimDiskOptions;
  readonly #numbers = new Map<object, Numbers>();

  constructor(options: SimDiskOptions = {}) {
    this.#options = options;
    this.#root = this.#makeDirectory(this, 0o755);
    this.#root.nlink = 2;
  }

  /** The calls as one process has them: its descriptors are its own. */
  callsOf(owner: object): SimCalls {
    return {
      open: (path, flags, mode) => this.#open(owner, path, flags, mode ?? 0o666),
      close: (fd) => this.#close(fd, owner),
      read: (fd, buffer, offset, length, position) => {
        const file = this.#fileOf(fd, owner, 'read');
        const part = file.data.subarray(position, position + length);
        buffer.set(part, offset);
        return { bytesRead: part.length };
      },
      write: (fd, buffer, offset, length, position) => {
        const file = this.#fileOf(fd, owner, 'write');
        const data = Buffer.alloc(Math.max(file.data.length, position + length));
        file.data.copy(data);
        data.set(buffer.subarray(offset, offset + length), position);
        file.data = data;
        this.changes += 1;
        file.mtimeMs = this.#now();
        return { bytesWritten: length };
      },
      fsync: (fd) => {
        const { inode } = this.#descriptor(fd, owner, 'fsync');
        if (inode.kind === 'file') inode.durable = inode.data;
        else inode.past.clear();
        this.changes += 1;
      },
      fstat: (fd) => statOf(this.#descriptor(fd, owner, 'fstat').inode),
      fchmod: (fd, mode) => {
        this.#descriptor(fd, owner, 'fchmod').inode.mode = mode;
      },
      fchown: (fd, uid, gid) => {
        Object.assign(this.#descriptor(fd, owner, 'fchown').inode, { uid, gid });
      },
      stat: (path) => statOf(this.#resolve(path, 'stat')),
      lstat: (path) => statOf(this.#resolve(path, 'lstat')),
      realpath: (path) => {
        this.#resolve(path, 'realpath');
        return posix.normalize(path);
      },
      readlink: (path) => {
        this.#resolve(path, 'readlink');
        throw simError('EINVAL', 'readlink', path);
      },
      readdir: (path) => {
        const inode = this.#resolve(path, 'readdir');
        if (inode.kind !== 'directory') throw simError('ENOTDIR', 'readdir', path);
        return [...inode.entries.keys()];
      },
      mkdir: (path) => {
        const [parent, name] = this.#parentOf(path, 'mkdir');
        if (parent.entries.has(name)) throw simError('EEXIST', 'mkdir', path);
        this.#setEntry(parent, name, this.#makeDirectory(owner, 0o755));
      },
      chmod: (path, mode) => {
        this.#resolve(path, 'chmod').mode = mode;
      },
      rmdir: (path) => {
        const [parent, name] = this.#parentOf(path, 'rmdir');
        const inode = parent.entries.get(name);
        if (inode === undefined) throw simError('ENOENT', 'rmdir', path);
        if (inode.kind !== 'directory') throw simError('ENOTDIR', 'rmdir', path);
        if (inode.entries.size > 0) throw simError('ENOTEMPTY', 'rmdir', path);
        this.#setEntry(parent, name, undefined);
      },
      link: (existing, path) => {
        const inode = this.#resolve(existing, 'link');
        const [parent, name] = this.#parentOf(path, 'link');
        if (parent.entries.has(name)) throw simError('EEXIST', 'link', path);
        if (inode.kind === 'directory') throw simError('EPERM', 'link', existing);
        this.#setEntry(parent, name, inode);
      },
      rename: (from, to) => this.#rename(from, to),
      unlink: (path) => {
        const [parent, name] = this.#parentOf(path, 'unlink');
        const inode = parent.entries.get(name);
        if (inode === undefined) throw simError('ENOENT', 'unlink', path);
        if (inode.kind === 'directory') throw simError('EISDIR', 'unlink', path);
        this.#setEntry(parent, name, undefined);
      },
    };
  }

  /** What the system does for a process that has ended. */
  closeAll(owner: object): void {
    for (const fd of this.#tableOf(owner).keys()) this.#close(fd, owner);
  }

  /** What the path stands for; undefined where there is nothing. */
  find(path: string): SimInode | undefined {
    let at: SimInode | undefined = this.#root;
    for (const name of namesOf(path)) {
      if (at?.kind !== 'directory') return undefined;
      at = at.entries.get(name);
    }
    return at;
  }

  /** What a descriptor stands for; undefined where it is closed. */
  inodeOf(owner: object, fd: number): SimInode | undefined {
    return this.#tableOf(owner).get(fd)?.inode;
  }

  /** A second descriptor of what the first one stands for. */
  duplicate(owner: object, fd: number): number {
    return this.#descriptorFor(owner, this.#descriptor(fd, owner, 'dup'));
  }

  /**
   * All that may stand at the path after a power loss now; undefined among it where nothing may. A file whose
   * bytes were not flushed is told by its `durable` not being its `data`.
   */
  afterPowerLoss(path: string): Set<SimInode | undefined> {
    let at = new Set<SimInode | undefined>([this.#root]);
    for (const name of namesOf(path)) {
      const next = new Set<SimInode | undefined>();
      for (const inode of at) {
        if (inode?.kind !== 'directory') next.add(undefined);
        else for (const candidate of candidatesOf(inode, name)) next.add(candidate);
      }
      at = next;
    }
    return at;
  }

  /** The disk as it is found after a power loss now; the random numbers choose among all that it may be. */
  losePower(random: Random): SimDisk {
    const disk = new SimDisk(this.#options);
    const copies = new Map<SimInode, SimInode>();
    const copy = (from: SimInode): SimInode => {
      const known = copies.get(from);
      if (known !== undefined) return known;
      let made: SimInode;
      if (from.kind === 'file') {
        made = disk.#makeFile(disk, from.mode);
        made.data = survivingBytes(from, random);
        made.durable = made.data;
        copies.set(from, made);
      } else {
        made = disk.#makeDirectory(disk, from.mode);
        copies.set(from, made);
        fill(from, made);
      }
      Object.assign(made, { uid: from.uid, gid: from.gid, mtimeMs: from.mtimeMs });
      return made;
    };
    const fill = (from: SimDirectory, to: SimDirectory): void => {
      for (const name of new Set([...from.entries.keys(), ...from.past.keys()])) {
        const inode = random.pick(candidatesOf(from, name));
        if (inode === undefined) continue;
        const made = copy(inode);
        to.entries.set(name, made);
        made.nlink += 1;
      }
    };
    fill(this.#root, disk.#root);
    return disk;
  }

  /**
   * Everything that can make the future of processes differ, as text: names, inode numbers, contents as
   * `contentKey` has them, and what of the path may be there after a power loss.
   */
  key(path: string, contentKey: (file: SimFile) => string): string {
    const inodeKey = (inode: SimInode | undefined): string => {
      if (inode === undefined) return '-';
      if (inode.kind === 'file') {
        return `${inode.ino}:${contentKey(inode)}${inode.durable === inode.data ? '' : '!'}`;
      }
      const names = [...inode.entries.keys()].toSorted();
      return `${inode.ino}{${names.map((name) => `${name}=${inodeKey(inode.entries.get(name))}`).join()}}`;
    };
    const after = Array.from(this.afterPowerLoss(path), inodeKey);
    const numbers = Array.from(this.#numbers.values(), (numbers) => numbers.key());
    return `${inodeKey(this.#root)} after ${after.join()} numbers ${numbers.join(';')}`;
  }

  #now(): number {
    return this.#options.now?.() ?? 0;
  }

  #makeFile(owner: object, mode: number): SimFile {
    return { ...this.#makeNode(owner, mode), kind: 'file', data: NOTHING, durable: NOTHING };
  }

  #makeDirectory(owner: object, mode: number): SimDirectory {
    return { ...this.#makeNode(owner, mode), kind: 'directory', entries: new Map(), past: new Map() };
  }

  #makeNode(owner: object, mode: number): SimNode {
    const key = this.#options.numbersByProcess === true ? owner : this;
    let numbers = this.#numbers.get(key);
    if (numbers === undefined) {
      numbers = new Numbers(this.#numbers.size * 1000 + 2);
      this.#numbers.set(key, numbers);
    }
    return { numbers, ino: numbers.take(), mode, uid: 0, gid: 0, nlink: 0, opens: 0, mtimeMs: this.#now() };
  }

  #freeIfUnused({ nlink, opens, numbers, ino }: SimInode): void {
    if (nlink === 0 && opens === 0) numbers.give(ino);
  }

  #setEntry(directory: SimDirectory, name: string, inode: SimInode | undefined): void {
    this.changes += 1;
    const old = directory.entries.get(name);
    const past = directory.past.get(name);
    if (past === undefined) directory.past.set(name, [old]);
    else past.push(old);
    if (inode === undefined) {
      directory.entries.delete(name);
    } else {
      directory.entries.set(name, inode);
      inode.nlink += 1;
    }
    directory.mtimeMs = this.#now();
    if (old !== undefined) {
      old.nlink -= 1;
      this.#freeIfUnused(old);
    }
  }

  #resolve(path: string, call: string): SimInode {
    let at: SimInode = this.#root;
    for (const name of namesOf(path)) {
      if (at.kind !== 'directory') throw simError('ENOTDIR', call, path);
      const next = at.entries.get(name);
      if (next === undefined) throw simError('ENOENT', call, path);
      at = next;
    }
    return at;
  }

  #parentOf(path: string, call: string): [SimDirectory, string] {
    const parent = this.#resolve(posix.dirname(path), call);
    if (parent.kind !== 'directory') throw simError('ENOTDIR', call, path);
    return [parent, posix.basename(path)];
  }

  #open(owner: object, path: string, flags: string | number, mode: number): number {
    const { readable, writable, create, exclusive } = accessOf(flags);
    const [parent, name] = path === '/' ? [this.#root, ''] : this.#parentOf(path, 'open');
    let inode = path === '/' ? this.#root : parent.entries.get(name);
    if (inode !== undefined && exclusive) throw simError('EEXIST', 'open', path);
    if (inode?.kind === 'directory' && writable) throw simError('EISDIR', 'open', path);
    if (inode === undefined) {
      if (!create) throw simError('ENOENT', 'open', path);
      inode = this.#makeFile(owner, mode);
      this.#setEntry(parent, name, inode);
    }
    return this.#descriptorFor(owner, { inode, readable, writable });
  }

  #descriptorFor(owner: object, descriptor: Descriptor): number {
    const table = this.#tableOf(owner);
    let fd = 3;
    while (table.has(fd)) fd += 1;
    table.set(fd, descriptor);
    descriptor.inode.opens += 1;
    return fd;
  }

  #close(fd: number, owner: object): void {
    const { inode } = this.#descriptor(fd, owner, 'close');
    this.#tableOf(owner).delete(fd);
    inode.opens -= 1;
    this.#freeIfUnused(inode);
  }

  #tableOf(owner: object): Map<number, Descriptor> {
    let table = this.#descriptors.get(owner);
    if (table === undefined) {
      table = new Map();
      this.#descriptors.set(owner, table);
    }
    return table;
  }

  #descriptor(fd: number, owner: object, call: string): Descriptor {
    const descriptor = this.#tableOf(owner).get(fd);
    if (descriptor === undefined) throw simError('EBADF', call, String(fd));
    return descriptor;
  }

  #fileOf(fd: number, owner: object, call: 'read' | 'write'): SimFile {
    const { inode, readable, writable } = this.#descriptor(fd, owner, call);
    if (!(call === 'read' ? readable : writable)) throw simError('EBADF', call, String(fd));
    if (inode.kind === 'directory') throw simError('EISDIR', call, String(fd));
    return inode;
  }

  #rename(from: string, to: string): void {
    const [fromParent, fromName] = this.#parentOf(from, 'rename');
    const [toParent, toName] = this.#parentOf(to, 'rename');
    const inode = fromParent.entries.get(fromName);
    if (inode === undefined) throw simError('ENOENT', 'rename', from);
    if (isWithin(to, from)) throw simError('EINVAL', 'rename', to);
    if (isWithin(from, to)) throw simError('ENOTEMPTY', 'rename', to);
    const target = toParent.entries.get(toName);
    if (target === inode) return;
    if (target?.kind === 'directory' && inode.kind === 'file') throw simError('EISDIR', 'rename', to);
    if (target?.kind === 'file' && inode.kind === 'directory') throw simError('ENOTDIR', 'rename', to);
    if (target?.kind === 'directory' && target.entries.size > 0) throw simError('ENOTEMPTY', 'rename', to);
    this.#setEntry(toParent, toName, inode);
    this.#setEntry(fromParent, fromName, undefined);
  }
}

function namesOf(path: string): string[] {
  return path.split('/').filter((name) => name !== '');
}

/** Whether the path leads through that directory. */
function isWithin(path: string, directory: string): boolean {
  return namesOf(path)
    .join('/')
    .startsWith(`${namesOf(directory).join('/')}/`);
}

/** The states of a name that a power loss may leave; the last is the one that processes see. */
function candidatesOf(directory: SimDirectory, name: string): (SimInode | undefined)[] {
  return [...new Set([...(directory.past.get(name) ?? []), directory.entries.get(name)])];
}

function survivingBytes({ data, durable }: SimFile, random: Random): Buffer {
  if (data === durable) return data;
  const cut = random.below(data.length + 1);
  return random.pick([
    durable,
    data,
    data.subarray(0, cut),
    Buffer.alloc(data.length),
    // Some blocks were written, and others not.
    Buffer.concat([data.subarray(0, cut), Buffer.alloc(data.length - cut)]),
  ]);
}

function statOf(inode: SimInode): FileStat {
  const { kind, ino, mode, uid, gid, mtimeMs } = inode;
  return {
    dev: 1n,
    ino: BigInt(ino),
    // oxlint-disable-next-line no-bitwise -- as the system says it: the kind and the permissions in one.
    mode: BigInt((kind === 'file' ? constants.S_IFREG : constants.S_IFDIR) | mode),
    nlink: BigInt(inode.nlink),
    uid: BigInt(uid),
    gid: BigInt(gid),
    size: BigInt(inode.kind === 'file' ? inode.data.length : 4096),
    mtimeMs: BigInt(Math.floor(mtimeMs)),
    isFile: () => kind === 'file',
    isDirectory: () => kind === 'directory',
    isSymbolicLink: () => false,
  };
}
