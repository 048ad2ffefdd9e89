import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { promisify } from 'node:util';

const runFile = promisify(execFile);

async function run(command: string, ...args: string[]): Promise<void> {
  await runFile(command, args, { env: { PATH: `${process.env['PATH']}:/usr/sbin:/sbin` } });
}

/** File systems of the test's own. Their disposal unmounts them all and leaves nothing of them. */
export class Mounts {
  readonly directory: string;
  readonly #mounted = new Set<string>();
  #count = 0;

  private constructor(directory: string) {
    this.directory = directory;
  }

  static async create(): Promise<Mounts> {
    return new Mounts(await mkdtemp(join(tmpdir(), 'fire-mounts-')));
  }

  /** A file system in memory; gives the directory that it is mounted at. */
  async tmpfs(kibibytes: number): Promise<string> {
    return await this.#mount('-t', 'tmpfs', '-o', `size=${kibibytes}k`, 'tmpfs');
  }

  /** A file with an empty ext4 in it. */
  async makeImage(mebibytes: number): Promise<string> {
    this.#count += 1;
    const image = join(this.directory, `${this.#count}.img`);
    await writeFile(image, '');
    await truncate(image, mebibytes * 2 ** 20);
    // No blocks kept back for root, and inodes made now and not in the background.
    await run(
      'mkfs.ext4',
      '-q',
      '-F',
      '-m',
      '0',
      '-b',
      '4096',
      '-E',
      'lazy_itable_init=0,lazy_journal_init=0',
      image,
    );
    return image;
  }

  /** Mounts the ext4 in the file. */
  async ext4(image: string, options: readonly string[] = []): Promise<string> {
    return await this.#mount('-t', 'ext4', '-o', ['loop', ...options].join(','), image);
  }

  async #mount(...args: string[]): Promise<string> {
    this.#count += 1;
    const directory = join(this.directory, `${this.#count}.mount`);
    await mkdir(directory);
    await run('mount', ...args, directory);
    this.#mounted.add(directory);
    return directory;
  }

  /** Frees the loop device too. */
  async unmount(directory: string): Promise<void> {
    for (let tries = 1; ; tries++) {
      try {
        await run('umount', directory);
        break;
      } catch (error) {
        // A process that was just killed may still be letting go.
        if (tries === 50) throw error;
        await setTimeout(20);
      }
    }
    this.#mounted.delete(directory);
    await rm(directory, { recursive: true });
  }

  /**
   * What a power cut does to a mounted ext4, at one moment, whatever is under way: nothing reaches the device
   * any more, its log is not written out, and every call fails from now on. (`EXT4_IOC_SHUTDOWN` with
   * `EXT4_GOING_FLAGS_NOLOGFLUSH`, as the tests of the kernel's file systems do it.)
   */
  async cutPower(directory: string): Promise<void> {
    const script =
      'open(my $d, "<", $ARGV[0]) or die $!; my $f = pack("L", 2); ioctl($d, 0x8004587d, $f) or die $!';
    await run('perl', '-e', script, directory);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const directory of this.#mounted) await this.unmount(directory);
    await rm(this.directory, { recursive: true, force: true });
  }
}
