import type { SourceState } from '../commit-rules.js';
import { encodeEntry } from './codec.js';
import type { Entries } from './entries.js';

/**
 * What the sources will be after a round: what they are, and over it the changes of the calls that share
 * the round. Each call's changes are kept together or not at all.
 */
export class Draft {
  readonly #base: Entries;
  readonly #kept = new Map<string, SourceState>();
  readonly #tried = new Map<string, SourceState>();

  constructor(base: Entries) {
    this.#base = base;
  }

  get(source: string): SourceState | undefined {
    return this.#tried.get(source) ?? this.#kept.get(source) ?? this.#base.get(source)?.state;
  }

  /** Puts what the rule makes of the source's state in its place; a rule that gives it back changes nothing. */
  apply<State extends SourceState>(source: string, rule: (current: SourceState | undefined) => State): State {
    const current = this.get(source);
    const next = rule(current);
    if (next !== current) this.#tried.set(source, next);
    return next;
  }

  /** Every source that there is, those without an offset included. */
  sources(): Set<string> {
    return new Set([...this.#base.sources(), ...this.#kept.keys(), ...this.#tried.keys()]);
  }

  /** Keeps the call's changes. */
  keep(): void {
    for (const [source, state] of this.#tried) this.#kept.set(source, state);
    this.#tried.clear();
  }

  /** Drops the call's changes. */
  drop(): void {
    this.#tried.clear();
  }

  get changed(): boolean {
    return this.#kept.size > 0;
  }

  /** The entries after the kept changes. Only what changed is encoded. */
  entries(): Entries {
    return this.#base.with(Array.from(this.#kept, ([source, state]) => encodeEntry(source, state)));
  }
}
