import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { describe, expect } from '@jest/globals';

/** What a spec needs of the machine beside Node. */
export interface Needs {
  readonly root?: boolean;
  /** One program, or several. */
  readonly command?: string | readonly string[];
  /** A file system that is really mounted, to see whether it can be: containers often forbid it. */
  readonly mount?: 'tmpfs' | 'ext4';
}

function commandIsThere(command: string): boolean {
  // mkfs and losetup lie where the PATH of an ordinary user does not look.
  const PATH = `${process.env['PATH'] ?? ''}:/usr/sbin:/sbin`;
  const found = spawnSync('sh', ['-c', 'command -v "$1"', 'sh', command], { env: { ...process.env, PATH } });
  return found.status === 0;
}

function run(command: string, ...args: string[]): boolean {
  return spawnSync(command, args, { stdio: 'ignore' }).status === 0;
}

function canMount(kind: 'tmpfs' | 'ext4'): boolean {
  const directory = mkdtempSync(join(tmpdir(), 'fire-gate-'));
  const image = `${directory}.img`;
  let mounted = false;
  try {
    if (kind === 'tmpfs') {
      mounted = run('mount', '-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', directory);
    } else {
      writeFileSync(image, '');
      truncateSync(image, 2 ** 20);
      mounted = run('mkfs.ext4', '-q', '-F', image) && run('mount', '-o', 'loop', image, directory);
    }
    return mounted;
  } finally {
    if (mounted) run('umount', directory);
    rmSync(directory, { recursive: true, force: true });
    rmSync(image, { force: true });
  }
}

function missing({ root = false, command = [], mount }: Needs): string[] {
  const commands = typeof command === 'string' ? [command] : command;
  const lacks: string[] = [];
  if (root && process.getuid?.() !== 0) lacks.push('root');
  for (const name of commands) if (!commandIsThere(name)) lacks.push(name);
  if (lacks.length === 0 && commands.includes('strace') && !run('strace', '-o', '/dev/null', 'true')) {
    lacks.push('permission to trace processes');
  }
  if (lacks.length === 0 && mount !== undefined && !canMount(mount)) {
    lacks.push(`permission to mount ${mount}`);
  }
  return lacks;
}

/**
 * `describe` where all that the tests need is there. Where something is missing: `describe.skip`, and one
 * line that names it; but on CI (`CI=true`) the file fails, so that nothing goes untested unnoticed.
 */
export function needs(what: Needs): typeof describe | typeof describe.skip {
  const lacks = missing(what);
  if (lacks.length === 0) return describe;
  const file = basename(expect.getState().testPath ?? 'a spec');
  const line = `${file}: skipped, for want of ${lacks.join(', ')}`;
  if (process.env['CI'] === 'true') throw new Error(`${line}; on CI nothing may be skipped`);
  process.stderr.write(`${line}\n`);
  return describe.skip;
}
