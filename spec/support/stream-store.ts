import { Offset, type OffsetInput } from '../../lib/offset.js';
import type { CommitOptions } from '../../lib/offset-store.js';
import { InMemoryOffsetStore } from '../../lib/stores/memory.js';

/** A store in memory that keeps a log of its commits, and that a spec can make fail, wait or die. */
export class ScriptedStore extends InMemoryOffsetStore {
  /** Every commit that landed: `source offset`. */
  readonly log: string[] = [];
  /** Every commit that was asked for, whatever came of it. */
  asked = 0;
  /** Called before each commit, which goes on once that resolves. */
  beforeCommit: ((source: string, offset: OffsetInput) => unknown) | undefined;
  /** Called before each read, which goes on once that resolves. */
  beforeRead: ((source: string) => unknown) | undefined;

  override async commit(source: string, offset: OffsetInput, options?: CommitOptions): Promise<void> {
    this.asked++;
    if (this.beforeCommit !== undefined) await this.beforeCommit(source, offset);
    await super.commit(source, offset, options);
    this.log.push(`${source} ${Offset.format(Offset.from(offset))}`);
  }

  override async inspect(source: string): ReturnType<InMemoryOffsetStore['inspect']> {
    if (this.beforeRead !== undefined) await this.beforeRead(source);
    return super.inspect(source);
  }

  /** The committed offset as text; undefined when there is none. */
  async at(source: string): Promise<string | undefined> {
    const offset = await this.get(source);
    return offset === undefined ? undefined : Offset.format(offset);
  }
}

/** A promise that a spec resolves by hand. */
export interface Gate {
  readonly opened: Promise<void>;
  open(): void;
}

export function gate(): Gate {
  let open!: () => void;
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { opened, open };
}
