import { quote } from '../../validate.js';
import type { Contents } from './codec.js';

/** A sight of the file: how far it had come, and which bytes those were. */
export interface Sight {
  readonly generation: number;
  readonly digest: string;
}

const NOTHING: Sight = Object.freeze({ generation: -1, digest: '' });

/**
 * What one store has seen of its file. A file only ever goes on, so a store that finds it gone, or older
 * than it was, says so: taking that for a fresh start would undo what was acknowledged.
 *
 * Every store has its own. A new store has seen nothing and takes what it finds, as a new process does.
 */
export class Witness {
  #latest = NOTHING;

  /**
   * To be taken before a read begins. What the read finds may rightly be older than what another read, or
   * a commit, saw in the meantime.
   */
  get latest(): Sight {
    return this.#latest;
  }

  saw(contents: Contents): void {
    if (contents.generation > this.#latest.generation) this.accept(contents);
  }

  /** Takes the file as it is, even where it went back. */
  accept({ generation, digest }: Contents): void {
    this.#latest = { generation, digest };
  }
}

/** What is wrong with finding these contents after that sight; undefined when nothing is. */
export function regression(path: string, since: Sight, contents: Contents): string | undefined {
  const { generation, digest } = since;
  const advice =
    'Nothing was written. Put the newer file back, or call recover() to go on with what is there now';
  if (contents.generation < generation) {
    if (contents.format === 'missing') {
      return `The offsets file ${quote(path)} is gone, and this store had seen it. ${advice}`;
    }
    return (
      `The offsets file ${quote(path)} went back from generation ${generation} to ` +
      `${contents.generation}: it was replaced by an older one. ${advice}`
    );
  }
  if (contents.generation === generation && generation > 0 && contents.digest !== digest) {
    return `The offsets file ${quote(path)} was replaced by another of the same generation ${generation}. ${advice}`;
  }
  return undefined;
}
