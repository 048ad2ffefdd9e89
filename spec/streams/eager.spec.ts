import { describe, expect, it } from '@jest/globals';
import { CommitStrategy } from '../../lib/commit-strategy.js';
import { FORMS } from '../support/endings-forms.js';
import { boom, COUNT, drive, LAST_ITEM, Run, withTimers, WORK_MS, World } from '../support/endings-world.js';
import { failure, until } from '../support/stream-helpers.js';

describe.each(FORMS.map((form) => [form.name, form] as const))('under eager, %s', (_name, form) => {
  it('is never held back by the store', async () => {
    // The first commit takes longer than all the work.
    const world = new World(CommitStrategy.eager, COUNT * WORK_MS + 20);
    let doneAtFirst: number | undefined;
    world.store.onLanded = (id) => {
      doneAtFirst ??= COUNT - world.history.missing.length;
      world.history.landed(id);
    };
    await withTimers(world.clock, async () => {
      const run = new Run(world, { source: 'ends' }, 0, false);
      await drive(world.clock, form.run(run));
      await drive(world.clock, run.tracker.close());
    });
    expect(doneAtFirst).toBe(COUNT);
    expect(world.history.violations).toEqual([]);
    expect(world.history.committed).toBe(COUNT - 1);
  });

  it('has committed everything when it is idle', async () => {
    const world = new World(CommitStrategy.eager, 35);
    await withTimers(world.clock, async () => {
      const run = new Run(world, { source: 'idles' }, 0, false);
      const flow = form.run(run);
      flow.catch(() => undefined);
      await drive(
        world.clock,
        until(() => world.history.committed === LAST_ITEM - 1),
      );
      expect(run.tracker.stats('a')).toMatchObject({ recorded: LAST_ITEM, pending: 0 });
      run.option.abort(boom);
      await drive(world.clock, failure(flow));
    });
  });

  it('tells a failed commit at the next item, and what is done is committed by the end', async () => {
    const world = new World(CommitStrategy.eager, 35);
    let left = 1;
    world.store.fails = () => left-- > 0;
    await withTimers(world.clock, async () => {
      const run = new Run(world, { source: 'ends' }, 0, false);
      const error = await drive(world.clock, failure(form.run(run)));
      expect(error).toMatchObject({ code: 'OFFSET_IO', source: 'a', cause: { message: 'disk full' } });
      await drive(world.clock, run.tracker.close());
    });
    expect(world.history.missing.length).toBeGreaterThan(0);
    expect(world.history.uncommitted).toBeLessThanOrEqual(form.inHand);
    expect(world.history.violations).toEqual([]);
  });

  it('does not end clean where the last commit fails', async () => {
    const world = new World(CommitStrategy.eager, 5);
    world.store.fails = (id) => id === COUNT - 1;
    await withTimers(world.clock, async () => {
      const run = new Run(world, { source: 'ends' }, 0, false);
      const error = await drive(world.clock, failure(form.run(run)));
      expect(error).toMatchObject({ code: 'OFFSET_IO', source: 'a', cause: { message: 'disk full' } });
      await drive(world.clock, failure(run.tracker.close()));
    });
    expect(world.history.committed).toBeLessThan(COUNT - 1);
  });
});
