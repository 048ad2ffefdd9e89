import { OffsetSerializationError, type OffsetError } from '../../errors.js';
import { type Contents, encode } from './codec.js';
import { Draft } from './draft.js';
import { Entries } from './entries.js';
import type { FileReader, Found } from './reader.js';
import type { Plan } from './replace.js';
import type { Runtime } from './runtime.js';
import { regression, type Sight, type Witness } from './witness.js';

/** What waits for a round. */
export interface Call {
  readonly witness: Witness;
  /** When it has waited as long as it may, by the monotonic clock. */
  readonly deadline: number;
  /** Makes its changes in the draft and gives its result, or throws its refusal; undefined for a repair. */
  readonly change: ((draft: Draft) => unknown) | undefined;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: unknown) => void;
}

/** Thrown where the file would become larger than may be read again. */
export class TooLarge extends Error {
  constructor(readonly size: number) {
    super(`${size} bytes`);
  }
}

/** Why a call cannot go on from what was found; undefined where it can. */
export async function refusalOf(
  call: Call,
  since: Sight,
  found: Found,
  reader: FileReader,
): Promise<OffsetError | undefined> {
  const { contents, damage, stat } = found;
  if (contents === undefined) {
    // Damage is what a repair is for. What never was ours is not for us to replace.
    return call.change === undefined && damage.kind === 'damaged'
      ? undefined
      : await reader.refusal(damage, stat);
  }
  if (call.change === undefined) return undefined;
  const fault = regression(reader.path, since, contents);
  return fault === undefined ? undefined : new OffsetSerializationError(fault, { code: 'OFFSET_CORRUPT' });
}

type Verdict = { readonly call: Call } & (
  { readonly refused: true; readonly error: unknown } | { readonly refused: false; readonly value: unknown }
);

/**
 * The changes that share one try. Each is decided on in its turn, on what those before it made of the file;
 * one that is refused takes none of the others along. Nothing is answered before all of it is durable, the
 * refusals neither: they may rest on changes of the same round.
 */
export class ChangeRound {
  readonly #runtime: Runtime;
  readonly #reader: FileReader;
  readonly #calls: readonly { readonly call: Call; readonly since: Sight }[];
  #verdicts: Verdict[] = [];
  #contents: Contents | undefined;

  /** To be made when the try begins: what a call's store has seen by now, it must find. */
  constructor(runtime: Runtime, reader: FileReader, calls: readonly Call[]) {
    this.#runtime = runtime;
    this.#reader = reader;
    this.#calls = calls.map((call) => ({ call, since: call.witness.latest }));
  }

  async decide(found: Found, mustWrite: boolean): Promise<Plan> {
    const verdicts: Verdict[] = [];
    const draft = new Draft(found.contents?.entries ?? Entries.NONE);
    let accepted = false;
    for (const { call, since } of this.#calls) {
      const refusal = await refusalOf(call, since, found, this.#reader);
      if (refusal !== undefined) {
        verdicts.push({ call, refused: true, error: refusal });
        continue;
      }
      try {
        const value = call.change?.(draft);
        draft.keep();
        verdicts.push({ call, refused: false, value });
        accepted = true;
      } catch (error) {
        draft.drop();
        verdicts.push({ call, refused: true, error });
      }
    }
    this.#verdicts = verdicts;
    this.#contents = found.contents;
    if (!accepted) return { kind: 'nothing' };
    const crate = found.contents?.format === 'crate';
    if (!draft.changed && !crate && !(mustWrite && found.stat !== undefined)) return { kind: 'acknowledge' };
    const next = encode(Math.max(found.contents?.generation ?? 0, 0) + 1, draft.entries(), found.contents);
    if (next.bytes.length > this.#runtime.maxFileBytes) throw new TooLarge(next.bytes.length);
    this.#contents = next;
    return { kind: 'replace', next, keep: crate ? 'crate' : undefined };
  }

  answer(): void {
    for (const verdict of this.#verdicts) {
      const { call } = verdict;
      if (verdict.refused) {
        call.reject(verdict.error);
      } else {
        if (this.#contents !== undefined) call.witness.saw(this.#contents);
        call.resolve(verdict.value);
      }
    }
  }
}
