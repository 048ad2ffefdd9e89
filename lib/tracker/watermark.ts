import type { Metadata } from '../metadata.js';
import type { Offset } from '../offset.js';

/** One delivery in the list. */
export interface WatermarkNode {
  readonly offset: Offset;
  readonly metadata: Metadata | undefined;
  /** How many were delivered before it. */
  readonly index: number;
  done: boolean;
  next: WatermarkNode | undefined;
}

/** How far the watermark went. */
export interface WatermarkAdvance {
  readonly offset: Offset;
  readonly metadata: Metadata | undefined;
  /** The index of the delivery it stands at. */
  readonly index: number;
  /** How many deliveries it passed. */
  readonly passed: number;
}

/**
 * The deliveries of one source in the order of their arrival, as a linked list: the watermark is the newest
 * offset such that it and everything delivered before it is done. An ack costs O(1), in whatever order they
 * come: each node is passed once. Offsets have gaps, so arrival order is all that counts, never +1.
 * (The idea: `uncapped.go` of Jeffail/checkpoint.)
 */
export class Watermark {
  /** The oldest delivery that is not done. */
  #head: WatermarkNode | undefined;
  #tail: WatermarkNode | undefined;
  #added = 0;
  #cutBefore = 0;

  /** Deliveries that the watermark has not passed. */
  get size(): number {
    return this.#head === undefined ? 0 : this.#added - this.#head.index;
  }

  /** How many deliveries there ever were: the index of the next. */
  get added(): number {
    return this.#added;
  }

  add(offset: Offset, metadata: Metadata | undefined): WatermarkNode {
    const node: WatermarkNode = { offset, metadata, index: this.#added++, done: false, next: undefined };
    if (this.#tail === undefined) this.#head = node;
    else this.#tail.next = node;
    this.#tail = node;
    return node;
  }

  /** Marks the delivery done; tells how far that took the watermark, undefined when an earlier one is not done. */
  ack(node: WatermarkNode): WatermarkAdvance | undefined {
    node.done = true;
    return this.#advance();
  }

  /** Takes the deliveries before the index off the list, done or not; tells how far that took the watermark. */
  cut(before: number): WatermarkAdvance | undefined {
    this.#cutBefore = Math.max(this.#cutBefore, before);
    while (this.#head !== undefined && this.#head.index < before) this.#shift(this.#head);
    return this.#advance();
  }

  /** Whether the delivery of this index was cut off the list, or would have been, had it still stood there. */
  isCut(index: number): boolean {
    return index < this.#cutBefore;
  }

  #advance(): WatermarkAdvance | undefined {
    let last: WatermarkNode | undefined;
    let passed = 0;
    while (this.#head?.done === true) {
      last = this.#head;
      this.#shift(last);
      passed++;
    }
    if (last === undefined) return undefined;
    return { offset: last.offset, metadata: last.metadata, index: last.index, passed };
  }

  #shift(head: WatermarkNode): void {
    this.#head = head.next;
    if (this.#head === undefined) this.#tail = undefined;
    // Whoever keeps an old delivery must not keep all later ones with it.
    head.next = undefined;
  }
}
