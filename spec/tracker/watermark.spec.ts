import { describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import { DeliveryNode } from '../../lib/tracker/deliveries.js';
import { Watermark } from '../../lib/tracker/watermark.js';

/** The same by an array, as plainly as can be. */
class Model {
  readonly items: { index: number; done: boolean; gone: boolean }[] = [];

  get left(): number {
    return this.items.filter((item) => !item.gone).length;
  }

  /** Takes what is done off the front; tells the last of it and how many there were. */
  advance(): { index: number; passed: number } | undefined {
    const left = this.items.filter((item) => !item.gone);
    const end = left.findIndex((item) => !item.done);
    const passed = end === -1 ? left : left.slice(0, end);
    for (const item of passed) item.gone = true;
    return passed.length === 0 ? undefined : { index: passed.at(-1)!.index, passed: passed.length };
  }
}

const step = fc.oneof(
  { weight: 4, arbitrary: fc.record({ do: fc.constant('add' as const) }) },
  { weight: 5, arbitrary: fc.record({ do: fc.constant('ack' as const), which: fc.nat() }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('cut' as const), which: fc.nat() }) },
);

describe('Watermark', () => {
  it('does as an array would, for any order of deliveries, acks and cuts', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
        const watermark = new Watermark<DeliveryNode>();
        const model = new Model();
        const nodes: DeliveryNode[] = [];
        let cutBefore = 0;
        const same = (reached: DeliveryNode | undefined, wanted: ReturnType<Model['advance']>): void => {
          expect(reached).toBe(wanted && nodes[wanted.index]);
        };
        for (const each of steps) {
          if (each.do === 'add') {
            const index = nodes.length;
            nodes.push(new DeliveryNode(index * 10, undefined));
            watermark.add(nodes[index]!);
            expect(nodes[index]!.index).toBe(index);
            model.items.push({ index, done: false, gone: false });
          } else if (each.do === 'ack' && nodes.length > 0) {
            const index = each.which % nodes.length;
            model.items[index]!.done = true;
            nodes[index]!.done = true;
            same(watermark.advance(), model.advance());
          } else if (each.do === 'cut') {
            const before = each.which % (nodes.length + 1);
            cutBefore = Math.max(cutBefore, before);
            for (const item of model.items.slice(0, before)) item.gone = true;
            same(watermark.cut(before), model.advance());
          }
          expect(watermark.size).toBe(model.left);
          expect(watermark.added).toBe(nodes.length);
          for (const node of nodes) expect(watermark.isCut(node.index)).toBe(node.index < cutBefore);
        }
      }),
      { numRuns: 500 },
    );
  });

  it('lets go of what it has passed: an old delivery does not keep the later ones', () => {
    const watermark = new Watermark<DeliveryNode>();
    const nodes = [1, 2, 3, 4].map((n) => new DeliveryNode(n, undefined));
    for (const node of nodes) watermark.add(node);
    expect(nodes[0]!.next).toBe(nodes[1]);
    nodes[1]!.done = true;
    expect(watermark.advance()).toBeUndefined();
    nodes[0]!.done = true;
    expect(watermark.advance()).toBe(nodes[1]);
    watermark.cut(3);
    expect(nodes.map((node) => node.next)).toEqual([undefined, undefined, undefined, undefined]);
    expect(watermark.size).toBe(1);
  });
});
