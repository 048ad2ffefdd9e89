import { describe, expect, it } from '@jest/globals';
import { Offset } from '../../lib/offset.js';
import { Deliveries, DeliveryNode } from '../../lib/tracker/deliveries.js';
import { FakeClock, settle } from '../support/fake-clock.js';

function begun(clock = new FakeClock()) {
  const stuck: [string, number, number][] = [];
  const deliveries = new Deliveries({
    source: 'a',
    clock,
    monotonic: true,
    stuckAfterMs: 1000,
    record: () => Promise.resolve(),
    onBehind: () => undefined,
    onStuck: (offset, ageMs, inFlight) => stuck.push([Offset.format(offset), ageMs, inFlight]),
  });
  const add = (place: number): DeliveryNode => {
    const node = new DeliveryNode(place, undefined);
    deliveries.add(node);
    return node;
  };
  return { clock, stuck, deliveries, add };
}

describe('Deliveries', () => {
  it('says that what was handed out before stands against an earlier offset', () => {
    const { add } = begun();
    add(5);
    expect(() => add(4)).toThrow(
      'Offset "seq:4" lies before "seq:5", which is already recorded for source "a"',
    );
  });

  it('looks four times in the time after which one is stuck, and not when there is none', async () => {
    const { clock, deliveries, add } = begun();
    deliveries.reportStuckAfter(2000);
    expect(clock.timers).toEqual([]);
    add(1);
    add(2);
    expect(clock.timers).toEqual([500]);
    deliveries.reportStuckAfter(4000);
    expect(clock.timers).toEqual([1000]);
    expect(clock.referencedTimers).toEqual([]);
    deliveries.stop();
    expect(clock.timers).toEqual([]);
    add(3);
    await clock.advance(10_000);
    expect(clock.timers).toEqual([]);
  });

  it('reports by the new time what was handed out before that was given', async () => {
    const { clock, stuck, deliveries, add } = begun();
    add(1);
    add(2);
    await clock.advance(100);
    deliveries.reportStuckAfter(400);
    await clock.advance(500);
    expect(stuck).toEqual([['seq:1', 400, 2]]);
  });

  it('takes a clock whose timers are numbers', () => {
    const clock = Object.assign(new FakeClock(), { setTimeout: () => 1, clearTimeout: () => undefined });
    const { deliveries, add } = begun(clock);
    add(1);
    expect(deliveries.inFlight).toBe(1);
  });

  it('wakes who waits once, and all when it is stopped', async () => {
    const { deliveries, add } = begun();
    const nodes = [1, 2, 3, 4].map(add);
    const woken: string[] = [];
    const wait = (below: number): void => {
      void deliveries.whenBelow(below).then(() => woken.push(`below ${below}`));
    };
    wait(2);
    wait(4);
    wait(5);
    await settle();
    expect(woken).toEqual(['below 5']);
    void deliveries.ack(nodes[0]!);
    await settle();
    expect(woken).toEqual(['below 5', 'below 4']);
    deliveries.cut(2);
    await settle();
    expect(woken).toHaveLength(2);
    deliveries.stop();
    await settle();
    expect(woken).toEqual(['below 5', 'below 4', 'below 2']);
  });
});
