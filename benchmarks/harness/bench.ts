import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { compare, type Group, type Line, type Variant } from './compare.js';

/** A promise of speed, and what was measured of it. */
export interface Target {
  readonly name: string;
  readonly value: number;
  readonly limit: number;
  /** Whether the value is to be at least or at most the limit. */
  readonly wanted: 'at least' | 'at most';
  /** What the value is: `×` for a ratio, or a unit. */
  readonly unit: string;
  readonly pass: boolean;
}

/** One point of a curve. */
export interface Point {
  readonly line: string;
  readonly x: number;
  readonly y: number;
}

/** How a cost grows; becomes a chart. */
export interface Series {
  readonly id: string;
  readonly title: string;
  readonly x: string;
  readonly y: string;
  readonly points: readonly Point[];
}

/** What a suite found; becomes its file of results. */
export interface Findings {
  readonly groups: { readonly name: string; readonly lines: readonly Line[] }[];
  readonly targets: Target[];
  readonly series: Series[];
  readonly notes: string[];
}

/** A suite: one question. */
export interface Suite {
  readonly name: string;
  readonly question: string;
  readonly run: (bench: Bench) => Promise<void>;
}

/** What a suite is run with. */
export class Bench {
  readonly findings: Findings = { groups: [], targets: [], series: [], notes: [] };
  readonly #folders: string[] = [];

  /** @param quick - whether a first impression within seconds is wanted */
  constructor(readonly quick: boolean) {}

  /** The first for results, the second for a first impression. */
  pick<T>(full: T, quick: T): T {
    return this.quick ? quick : full;
  }

  /** Measures what becomes points of a curve, and not lines of a table. */
  async measure(name: string, variants: readonly Variant[], rounds: number): Promise<Group> {
    return await compare(name, variants, rounds, this.quick ? 1 : 2);
  }

  async compare(name: string, variants: readonly Variant[], rounds: number): Promise<Group> {
    const group = await this.measure(name, variants, rounds);
    this.findings.groups.push({ name, lines: group.lines });
    return group;
  }

  atLeast(name: string, value: number, limit: number, unit = '×'): void {
    this.findings.targets.push({ name, value, limit, wanted: 'at least', unit, pass: value >= limit });
  }

  atMost(name: string, value: number, limit: number, unit = '×'): void {
    this.findings.targets.push({ name, value, limit, wanted: 'at most', unit, pass: value <= limit });
  }

  series(series: Series): void {
    this.findings.series.push(series);
  }

  /** What a reader of the results must know, such as what was left out. */
  note(text: string): void {
    this.findings.notes.push(text);
    console.log(text);
  }

  /** A new folder on the disk, removed at the end of the suite. */
  async folder(): Promise<string> {
    const folder = await mkdtemp(path.join(tmpdir(), 'streamweave-offset-bench-'));
    this.#folders.push(folder);
    return folder;
  }

  async end(): Promise<void> {
    for (const folder of this.#folders.splice(0)) await rm(folder, { recursive: true, force: true });
  }
}
