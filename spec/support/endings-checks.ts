/**
 * What happened to the items of one source over all runs of it, and whether that keeps the promises: at every
 * instant, for a process may be killed at any.
 */
export class CommitHistory {
  /** How often the work for each item was done. */
  readonly times: number[];
  /** The item committed last; -1 for none. */
  committed = -1;
  readonly violations: string[] = [];
  /** The most items, at any instant, whose work was done in this run and not committed. */
  worst = 0;
  onBegin: (id: number) => void = () => undefined;
  #doneHere = new Set<number>();

  constructor(count: number) {
    this.times = Array.from({ length: count }, () => 0);
  }

  /** A new run begins. */
  start(): void {
    this.#doneHere = new Set();
    this.worst = 0;
  }

  done(id: number): void {
    this.times[id]!++;
    this.#doneHere.add(id);
    this.worst = Math.max(this.worst, this.uncommitted);
  }

  began(id: number): void {
    this.onBegin(id);
  }

  landed(id: number): void {
    if (!Number.isInteger(id)) this.violations.push(`committed an offset that no item has`);
    if (id < this.committed) this.violations.push(`went back from item ${this.committed} to ${id}`);
    this.committed = id;
    const skipped = this.times.findIndex((times, item) => item <= id && times === 0);
    if (skipped >= 0) this.violations.push(`skipped: item ${skipped} is not done, and ${id} is committed`);
  }

  /** How many items of this run a restart would do again. */
  get uncommitted(): number {
    let count = 0;
    for (const id of this.#doneHere) if (id > this.committed) count++;
    return count;
  }

  /** The items whose work was never done. */
  get missing(): number[] {
    return this.times.flatMap((times, id) => (times === 0 ? [id] : []));
  }
}
