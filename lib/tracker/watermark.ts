import type { Metadata } from '../metadata.js';
import type { Offset } from '../offset.js';

/** One delivery in the list. */
export interface WatermarkNode {
  readonly offset: Offset;
  readonly metadata: Metadata | undefined;
  done: boolean;
  next: WatermarkNode | undefined;
}

/** How far the watermark went. */
export interface WatermarkAdvance {
  readonly offset: Offset;
  readonly metadata: Metadata | undefined;
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
  #head: WatermarkNode | undefined;
  #tail: WatermarkNode | undefined;
  #size = 0;

  /** Deliveries that the watermark has not passed. */
  get size(): number {
    return this.#size;
  }

  /** The offset delivered last, while the watermark has not passed it. */
  get newest(): Offset | undefined {
    return this.#tail?.offset;
  }

  add(offset: Offset, metadata: Metadata | undefined): WatermarkNode {
    const node: WatermarkNode = { offset, metadata, done: false, next: undefined };
    if (this.#tail === undefined) this.#head = node;
    else this.#tail.next = node;
    this.#tail = node;
    this.#size++;
    return node;
  }

  /** Marks the delivery done; tells how far that took the watermark, undefined when an earlier one is not done. */
  ack(node: WatermarkNode): WatermarkAdvance | undefined {
    node.done = true;
    let last: WatermarkNode | undefined;
    let passed = 0;
    while (this.#head?.done === true) {
      last = this.#head;
      this.#head = last.next;
      passed++;
    }
    if (last === undefined) return undefined;
    if (this.#head === undefined) this.#tail = undefined;
    this.#size -= passed;
    return { offset: last.offset, metadata: last.metadata, passed };
  }
}
