import type { Metadata } from '../metadata.js';
import type { Offset } from '../offset.js';

/** One delivery in the list. */
export interface WatermarkNode {
  /** Its offset; a plain number is a sequence, which takes no object of its own. */
  readonly place: number | Offset;
  readonly metadata: Metadata | undefined;
  /** How many were delivered before it; given by the list. */
  index: number;
  readonly done: boolean;
  next: this | undefined;
}

/**
 * The deliveries of one source in the order of their arrival, as a linked list: the watermark is the newest
 * offset such that it and everything delivered before it is done. An ack costs O(1), in whatever order they
 * come: each node is passed once. Offsets have gaps, so arrival order is all that counts, never +1.
 * (The idea: `uncapped.go` of Jeffail/checkpoint.)
 */
export class Watermark<Node extends WatermarkNode> {
  #head: Node | undefined;
  #tail: Node | undefined;
  #added = 0;
  #cutBefore = 0;

  /** The oldest delivery that the watermark has not passed. */
  get head(): Node | undefined {
    return this.#head;
  }

  /** Deliveries that the watermark has not passed. */
  get size(): number {
    return this.#head === undefined ? 0 : this.#added - this.#head.index;
  }

  /** How many deliveries there ever were: the index of the next. */
  get added(): number {
    return this.#added;
  }

  add(node: Node): void {
    node.index = this.#added++;
    if (this.#tail === undefined) this.#head = node;
    else this.#tail.next = node;
    this.#tail = node;
  }

  /** Goes on as far as deliveries are done; gives the last that it passed, undefined when the oldest is not done. */
  advance(): Node | undefined {
    let last: Node | undefined;
    while (this.#head?.done === true) {
      last = this.#head;
      this.#shift(last);
    }
    return last;
  }

  /** Takes the deliveries before the index off the list, done or not; then goes on as `advance()`. */
  cut(before: number): Node | undefined {
    this.#cutBefore = Math.max(this.#cutBefore, before);
    while (this.#head !== undefined && this.#head.index < before) this.#shift(this.#head);
    return this.advance();
  }

  /** Whether the delivery of this index was cut off the list, or would have been, had it still stood there. */
  isCut(index: number): boolean {
    return index < this.#cutBefore;
  }

  #shift(head: Node): void {
    this.#head = head.next;
    if (this.#head === undefined) this.#tail = undefined;
    // Whoever keeps an old delivery must not keep all later ones with it.
    head.next = undefined;
  }
}
