import { quote } from '../../validate.js';
import { claims, decodeLine, encode, LINE_START } from './codec.js';
import { Entries, type Entry } from './entries.js';
import type { FileReader, Found } from './reader.js';
import type { Plan } from './replace.js';
import { type Call, refusalOf } from './round.js';
import type { Runtime } from './runtime.js';
import type { Sight } from './witness.js';

/** A part of a damaged file that could not be saved. */
export interface LostPart {
  /** The name that stands in the damaged line, where one can be read; it may itself be damaged. */
  readonly source: string | undefined;
  /** Why it could not be saved, in words. */
  readonly reason: string;
}

/** What `recover()` did. */
export interface RecoverReport {
  /**
   * `'recovered'`: what could be saved took the place of the damaged file. `'unneeded'`: the file verifies, or there
   * is none; nothing was changed.
   */
  readonly status: 'recovered' | 'unneeded';
  /** The real path of the file. */
  readonly path: string;
  /** The path under which the damaged bytes are kept; undefined when it was not needed. */
  readonly kept: string | undefined;
  /** The sources that the file now holds, those without an offset (cleared ones) included. */
  readonly saved: readonly string[];
  /** What could not be saved, a part of the file each; empty when it was not needed. */
  readonly lost: readonly LostPart[];
}

/** Above this, a generation that a damaged file claims is more likely a part of the damage. */
const MAX_CLAIM = 2 ** 52;

/**
 * The line that begins the segment. Where it ends is known only while its newline is whole; else each brace
 * from the end backwards may close it. A wrong cut is never taken: the line's check would not hold.
 */
function lineIn(segment: string): Entry {
  const [first = ''] = segment.split('\n', 1);
  let error: unknown;
  for (const candidate of [first.replace(/,$/, ''), ...cuts(segment)]) {
    try {
      return decodeLine(candidate, Buffer.byteLength(candidate));
    } catch (caught) {
      error ??= caught;
    }
  }
  throw error;
}

function* cuts(segment: string): Generator<string> {
  let at = segment.length;
  for (let tries = 0; tries < 4; tries++) {
    at = segment.lastIndexOf('}', at - 1);
    if (at === -1) return;
    yield segment.slice(0, at + 1);
  }
}

function nameIn(segment: string): string | undefined {
  try {
    return JSON.parse(/"source":("(?:[^"\\]|\\.){1,1100}")/.exec(segment)?.[1] ?? '') as string;
  } catch {
    return undefined;
  }
}

/** Whether `a` is the better of two lines for one source: never the older epoch, never the older commit. */
function newer(a: Entry, b: Entry): boolean {
  if (a.state.epoch !== b.state.epoch) return a.state.epoch > b.state.epoch;
  if (a.state.offset === undefined || b.state.offset === undefined) return a.state.offset !== undefined;
  return a.state.committedAt.getTime() > b.state.committedAt.getTime();
}

/** Every line whose own bytes verify, wherever in the file it stands. */
function salvage(bytes: Buffer): { readonly entries: Entries; readonly lost: LostPart[] } {
  const entries = new Map<string, Entry>();
  const lost: LostPart[] = [];
  let lines = 0;
  for (let at = bytes.indexOf(LINE_START); at !== -1;) {
    const next = bytes.indexOf(LINE_START, at + 1);
    // Bytes that are no UTF-8 become characters that no check holds for.
    const segment = bytes.toString('utf8', at, next === -1 ? bytes.length : next);
    lines += 1;
    try {
      const entry = lineIn(segment);
      const other = entries.get(entry.source);
      if (other === undefined || newer(entry, other)) entries.set(entry.source, entry);
    } catch (error) {
      lost.push({ source: nameIn(segment), reason: (error as Error).message });
    }
    at = next;
  }
  const missing = (claims(bytes)?.count ?? lines) - lines;
  if (missing > 0)
    lost.push({ source: undefined, reason: `${missing} more lines that the file counts are not there` });
  return { entries: Entries.NONE.with(entries.values()), lost };
}

/** A repair: its round writes what could be saved in the place of what is damaged. */
export class RepairRound {
  readonly #runtime: Runtime;
  readonly #reader: FileReader;
  readonly #call: Call;
  readonly #since: Sight;
  #finish: (kept: string | undefined) => void = () => {};

  constructor(runtime: Runtime, reader: FileReader, call: Call) {
    this.#runtime = runtime;
    this.#reader = reader;
    this.#call = call;
    this.#since = call.witness.latest;
  }

  async decide(found: Found): Promise<Plan> {
    const { witness, resolve, reject } = this.#call;
    const { path } = this.#reader;
    const refusal = await refusalOf(this.#call, this.#since, found, this.#reader);
    if (refusal !== undefined) {
      this.#finish = () => reject(refusal);
      return { kind: 'nothing' };
    }
    const { contents, bytes } = found;
    if (contents !== undefined) {
      this.#finish = () => {
        witness.accept(contents);
        resolve({ status: 'unneeded', path, kept: undefined, saved: contents.entries.sources(), lost: [] });
      };
      return { kind: 'nothing' };
    }
    const { entries, lost } = salvage(bytes);
    const next = encode(this.#generation(bytes), entries);
    this.#finish = (kept) => {
      witness.accept(next);
      resolve({ status: 'recovered', path, kept, saved: entries.sources(), lost });
    };
    return { kind: 'replace', next, keep: 'corrupt' };
  }

  answer(kept: string | undefined): void {
    this.#finish(kept);
  }

  /**
   * Higher than any that another process can have seen, or it would take the repaired file for an old one.
   * What the damaged file claims may be wrong, so the clock helps: no file is written once a millisecond
   * since 1970.
   */
  #generation(bytes: Buffer): number {
    const claimed = claims(bytes)?.generation ?? 0;
    const seen = Math.max(claimed < MAX_CLAIM ? claimed : 0, this.#since.generation);
    return Math.max(seen + 1, Math.floor(this.#runtime.now()));
  }
}

/** Where the file verifies but for what it says: the lines that stand in it and cannot be believed, in words. */
export function problemsOf(bytes: Buffer): string[] {
  return salvage(bytes).lost.map(({ source, reason }) =>
    source === undefined ? reason : `source ${quote(source)}: ${reason}`,
  );
}
