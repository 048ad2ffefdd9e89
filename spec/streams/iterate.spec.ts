import { EventEmitter, getEventListeners, on } from 'node:events';
import { setImmediate as turn } from 'node:timers/promises';
import { Readable } from 'node:stream';
import { ReadableStream } from 'node:stream/web';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { CommitStrategy } from '../../lib/commit-strategy.js';
import { FencedError, InvalidOffsetError, SourceNotFoundError, UnsupportedError } from '../../lib/errors.js';
import { Offset, type OffsetInput } from '../../lib/offset.js';
import { type IterateOptions, iterateWithOffsets } from '../../lib/streams/iterate.js';
import { OffsetTracker } from '../../lib/tracker/offset-tracker.js';
import { failure, settle, STRATEGIES, TimerCount, until } from '../support/stream-helpers.js';
import { gate, ScriptedStore } from '../support/stream-store.js';

const boom = new Error('boom');
const ids = (from: number, to: number): number[] => Array.from({ length: to - from + 1 }, (_, n) => from + n);
const byId: IterateOptions<number> = { source: 'a', offsetOf: (id) => id };
const late = CommitStrategy.periodic(1000);

/** Gives ids for ever; tells whether it was closed. */
class Source {
  closed = false;

  async *ids(from = 0, { fifth }: { fifth?: () => unknown } = {}): AsyncGenerator<number> {
    try {
      for (let id = from; ; id++) {
        if (fifth !== undefined && id === 5) await fifth();
        yield id;
      }
    } finally {
      this.closed = true;
    }
  }
}

const never = (): Promise<never> => new Promise(() => undefined);

let timers: TimerCount;
beforeEach(() => {
  timers = new TimerCount();
  timers.start();
});
afterEach(() => {
  timers.stop();
  expect(timers.live).toBe(0);
});

describe('asking for the next item', () => {
  it('records the last one, and nothing is recorded before', async () => {
    const store = new ScriptedStore();
    const tracker = new OffsetTracker(store);
    const seen: Array<[number, string | undefined]> = [];
    for await (const id of iterateWithOffsets(ids(10, 13), tracker, byId))
      seen.push([id, await store.at('a')]);
    expect(seen).toEqual([
      [10, undefined],
      [11, 'seq:10'],
      [12, 'seq:11'],
      [13, 'seq:12'],
    ]);
    expect(await store.at('a')).toBe('seq:13');
  });

  it.each(STRATEGIES)('with %s commits all at a clean end (manual: nothing)', async (_name, strategy) => {
    const store = new ScriptedStore();
    const tracker = new OffsetTracker(store, { strategy });
    let count = 0;
    for await (const _id of iterateWithOffsets(ids(0, 9), tracker, byId)) count++;
    expect(count).toBe(10);
    expect(await store.at('a')).toBe(strategy.kind === 'manual' ? undefined : 'seq:9');
    expect(tracker.stats('a')).toMatchObject({
      recorded: 10,
      pending: strategy.kind === 'manual' ? 10 : 0,
    });
    await tracker.close();
  });

  it('waits where the strategy waits for a commit', async () => {
    const store = new ScriptedStore();
    const held = gate();
    store.beforeCommit = () => held.opened;
    const given: number[] = [];
    const loop = (async () => {
      const tracker = new OffsetTracker(store, { strategy: CommitStrategy.periodic(3) });
      for await (const id of iterateWithOffsets(ids(0, 9), tracker, byId)) given.push(id);
    })();
    await settle();
    expect(given).toEqual([0, 1, 2]);
    held.open();
    await loop;
    expect(given).toHaveLength(10);
  });

  it('for several sources records each under its own', async () => {
    const store = new ScriptedStore();
    const tracker = new OffsetTracker(store, { strategy: late });
    const loop = iterateWithOffsets(ids(0, 4), tracker, {
      source: (id) => `source ${id % 2}`,
      offsetOf: (id) => id,
      metadataOf: (id) => ({ id }),
    });
    let count = 0;
    for await (const _id of loop) count++;
    expect(count).toBe(5);
    expect([await store.at('source 0'), await store.at('source 1')]).toEqual(['seq:4', 'seq:3']);
    expect((await store.inspect('source 1'))?.metadata).toEqual({ id: 3 });
  });

  it('twice at once is refused, for the work for the first cannot be done', async () => {
    const store = new ScriptedStore();
    const items = iterateWithOffsets(ids(0, 1), new OffsetTracker(store), byId);
    const first = items.next();
    const error = await failure(items.next());
    expect(error).toBeInstanceOf(UnsupportedError);
    expect((error as Error).message).toContain('withAcks()');
    expect(await first).toEqual({ done: false, value: 0 });
    expect(await store.at('a')).toBeUndefined();
    expect(await items.next()).toEqual({ done: false, value: 1 });
    expect(await items.next()).toEqual({ done: true, value: undefined });
    expect(await items.next()).toEqual({ done: true, value: undefined });
    expect(await store.at('a')).toBe('seq:1');
  });
});

describe('items and their places', () => {
  it('are counted where there is no offsetOf, going on after the committed one', async () => {
    const store = new ScriptedStore();
    const tracker = new OffsetTracker(store);
    for await (const letter of iterateWithOffsets('abcd', tracker, 'a')) if (letter === 'c') break;
    expect(await store.at('a')).toBe('seq:1');
    for await (const _letter of iterateWithOffsets('cd', tracker, 'a'));
    expect(await store.at('a')).toBe('seq:3');
  });

  it("with resume 'skip' the done ones do not come to the body", async () => {
    const store = new ScriptedStore();
    const seen: string[] = [];
    for (let run = 0; run < 3; run++) {
      const letters = iterateWithOffsets('abcdef', new OffsetTracker(store), { source: 'a', resume: 'skip' });
      for await (const letter of letters) {
        seen.push(letter);
        if (letter === 'c' && run === 0) break;
      }
    }
    expect(seen.join('')).toBe('abccdef');
    expect(await store.at('a')).toBe('seq:5');
  });

  it("with resume 'skip' a custom offset that does not come up is an error", async () => {
    const store = new ScriptedStore();
    await store.reset('a', 'gone');
    const loop = iterateWithOffsets('abc', new OffsetTracker(store), {
      source: 'a',
      offsetOf: (letter) => letter,
      resume: 'skip',
    });
    expect(await failure(loop.next())).toMatchObject({ code: 'OFFSET_INVALID', source: 'a' });
    expect(await store.at('a')).toBe('custom:gone');
  });

  it('promises in an iterable are waited for, as in any loop', async () => {
    const store = new ScriptedStore();
    const seen: number[] = [];
    const promised = [1, 2, 3].map((id) => Promise.resolve(id));
    const loop = iterateWithOffsets(promised, new OffsetTracker(store), {
      source: 'a',
      offsetOf: (id: number) => id,
    });
    for await (const id of loop) seen.push(id);
    expect(seen).toEqual([1, 2, 3]);
    expect(await store.at('a')).toBe('seq:3');
  });

  it.each<[string, Partial<IterateOptions<number>>, RegExp]>([
    [
      'offsetOf throws',
      { offsetOf: (id) => (id === 2 ? raise() : id) },
      /offset of item 2 of source "a".*boom/,
    ],
    ['offsetOf gives NaN', { offsetOf: (id) => (id === 2 ? Number.NaN : id) }, /item 2 .*got NaN/],
    [
      'offsetOf is async',
      { offsetOf: (id) => (id === 2 ? (Promise.resolve(2) as unknown as OffsetInput) : id) },
      /item 2 .*must not be an async function/,
    ],
    ['source throws', { source: (id) => (id === 2 ? raise() : 'a') }, /source of item 2 .*boom/],
    ['metadataOf throws', { metadataOf: (id) => (id === 2 ? raise() : {}) }, /metadata of item 2 .*boom/],
  ])(
    '%s: InvalidOffsetError that names the item, after what came before was committed',
    async (_case, bad, message) => {
      const store = new ScriptedStore();
      const source = new Source();
      const seen: number[] = [];
      const tracker = new OffsetTracker(store, { strategy: late });
      const error = await failure(
        (async () => {
          for await (const id of iterateWithOffsets(source.ids(), tracker, { ...byId, ...bad }))
            seen.push(id);
        })(),
      );
      expect(error).toBeInstanceOf(InvalidOffsetError);
      expect((error as Error).message).toMatch(message);
      expect(seen).toEqual(message.source.includes('got NaN') ? [0, 1, 2] : [0, 1]);
      expect(await store.at('a')).toBe('seq:1');
      expect(source.closed).toBe(true);
    },
  );

  it("under the reset policy 'none' a source to count must be known", async () => {
    const tracker = new OffsetTracker(new ScriptedStore(), { resetPolicy: 'none' });
    const source = new Source();
    const error = await failure(iterateWithOffsets(source.ids(), tracker, 'a').next());
    expect(error).toBeInstanceOf(SourceNotFoundError);
    expect(source.closed).toBe(true);
  });
});

function raise(): never {
  throw boom;
}

/** Leaves the loop in the body of the item 3. */
const LEAVES: ReadonlyArray<readonly [string, (loop: AsyncIterable<number>) => Promise<void>, unknown]> = [
  [
    'break',
    async (loop) => {
      for await (const id of loop) if (id === 3) break;
    },
    undefined,
  ],
  [
    'return',
    async (loop) => {
      for await (const id of loop) if (id === 3) return;
    },
    undefined,
  ],
  [
    'a throw',
    async (loop) => {
      for await (const id of loop) if (id === 3) throw boom;
    },
    boom,
  ],
  [
    'break from an outer loop',
    async (loop) => {
      outer: for (;;) {
        for await (const id of loop) if (id === 3) break outer;
      }
    },
    undefined,
  ],
];

describe.each(STRATEGIES)('leaving the loop with %s', (_name, strategy) => {
  it.each(LEAVES)(
    'by %s commits the items before the one in hand (manual: nothing)',
    async (_way, leave, sees) => {
      const store = new ScriptedStore();
      const tracker = new OffsetTracker(store, { strategy });
      const source = new Source();
      const seen = await leave(iterateWithOffsets(source.ids(), tracker, byId)).catch(
        (error: unknown) => error,
      );
      expect(seen).toBe(sees);
      expect(await store.at('a')).toBe(strategy.kind === 'manual' ? undefined : 'seq:2');
      expect(tracker.stats('a').recorded).toBe(3);
      expect(source.closed).toBe(true);
      await tracker.close();
    },
  );
});

describe('an error', () => {
  it('of the source surfaces as itself, after the last item was recorded and committed', async () => {
    const store = new ScriptedStore();
    const tracker = new OffsetTracker(store, { strategy: late });
    const loop = iterateWithOffsets(new Source().ids(0, { fifth: raise }), tracker, byId);
    const seen: number[] = [];
    const error = await failure(
      (async () => {
        for await (const id of loop) seen.push(id);
      })(),
    );
    expect(error).toBe(boom);
    expect(seen).toEqual([0, 1, 2, 3, 4]);
    expect(await store.at('a')).toBe('seq:4');
    expect(await loop.next()).toEqual({ done: true, value: undefined });
  });

  it('of the source does not tell the source to return, for it is over', async () => {
    let returns = 0;
    const iterable = {
      [Symbol.asyncIterator]: () => ({
        next: () => Promise.reject(boom),
        return: () => {
          returns++;
          return Promise.resolve({ done: true as const, value: undefined });
        },
      }),
    };
    expect(
      await failure(iterateWithOffsets(iterable, new OffsetTracker(new ScriptedStore()), 'a').next()),
    ).toBe(boom);
    expect(returns).toBe(0);
  });

  it('of the source when it is closed surfaces at a break, and not in place of another', async () => {
    const broken = {
      [Symbol.iterator]: () => ({
        next: () => ({ done: false, value: 1 }),
        return: () => raise(),
      }),
    };
    const tracker = new OffsetTracker(new ScriptedStore(), { strategy: late });
    const loop = async (then: () => void): Promise<void> => {
      for await (const _id of iterateWithOffsets(broken, tracker, 'a')) {
        then();
        break;
      }
    };
    expect(await failure(loop(() => undefined))).toBe(boom);
    const other = new Error('other');
    expect(
      await failure(
        loop(() => {
          throw other;
        }),
      ),
    ).toBe(other);
  });

  it('of a commit surfaces at the next item, and a restart begins after what is committed', async () => {
    const store = new ScriptedStore();
    store.beforeCommit = (_source, offset) => {
      if ((offset as { value: bigint }).value === 3n) throw boom;
    };
    const source = new Source();
    const seen: number[] = [];
    const error = await failure(
      (async () => {
        for await (const id of iterateWithOffsets(source.ids(), new OffsetTracker(store), byId))
          seen.push(id);
      })(),
    );
    expect(error).toMatchObject({ code: 'OFFSET_IO', source: 'a', cause: boom });
    expect(seen).toEqual([0, 1, 2, 3]);
    expect(await store.at('a')).toBe('seq:2');
    expect(source.closed).toBe(true);
  });

  it('of the last commit makes the end no clean one', async () => {
    const store = new ScriptedStore();
    store.beforeCommit = raise;
    const tracker = new OffsetTracker(store, { strategy: late });
    const loop = (async () => {
      for await (const _id of iterateWithOffsets(ids(0, 3), tracker, byId));
    })();
    expect(await failure(loop)).toMatchObject({ code: 'OFFSET_IO', cause: boom });
  });

  it('OFFSET_BEHIND and OFFSET_FENCED surface as they are', async () => {
    const store = new ScriptedStore();
    const tracker = new OffsetTracker(store, { strategy: late });
    const behind = iterateWithOffsets([5, 4, 6], tracker, byId);
    await behind.next();
    await behind.next();
    expect(await failure(behind.next())).toMatchObject({ code: 'OFFSET_BEHIND', source: 'a' });
    expect(await store.at('a')).toBe('seq:5');
    const fenced = iterateWithOffsets([6, 7, 8], new OffsetTracker(store), byId);
    await fenced.next();
    await fenced.next();
    await store.reset('a', Offset.sequence(1));
    expect(await failure(fenced.next())).toBeInstanceOf(FencedError);
    expect(await store.at('a')).toBe('seq:1');
  });
});

describe('sources are closed', () => {
  it('a Readable is destroyed', async () => {
    const readable = Readable.from(new Source().ids());
    for await (const id of iterateWithOffsets(readable, new OffsetTracker(new ScriptedStore()), byId)) {
      if (id === 3) break;
    }
    expect(readable.destroyed).toBe(true);
  });

  it('a ReadableStream is cancelled, and its lock released at any end', async () => {
    const tracker = new OffsetTracker(new ScriptedStore());
    let cancelled = false;
    let next = 0;
    const endless = new ReadableStream<number>({
      pull: (controller) => controller.enqueue(next++),
      cancel: () => {
        cancelled = true;
      },
    });
    for await (const id of iterateWithOffsets(endless, tracker, byId)) if (id === 3) break;
    expect(cancelled).toBe(true);
    expect(endless.locked).toBe(false);

    const short = new ReadableStream<number>({
      start: (controller) => {
        controller.enqueue(8);
        controller.close();
      },
    });
    const seen: number[] = [];
    for await (const id of iterateWithOffsets(short, tracker, byId)) seen.push(id);
    expect(seen).toEqual([8]);
    expect(short.locked).toBe(false);

    const broken = new ReadableStream<number>({ start: (controller) => controller.error(boom) });
    expect(await failure(iterateWithOffsets(broken, tracker, byId).next())).toBe(boom);
    expect(broken.locked).toBe(false);
  });

  it('also when no item was asked for', async () => {
    const tracker = new OffsetTracker(new ScriptedStore());
    const readable = Readable.from(ids(0, 3));
    await iterateWithOffsets(readable, tracker, byId).return();
    expect(readable.destroyed).toBe(true);
    const generator = new Source().ids();
    {
      await using _loop = iterateWithOffsets(generator, tracker, byId);
    }
    expect(await generator.next()).toEqual({ done: true, value: undefined });
  });

  it('and waited for no longer than drainTimeoutMs', async () => {
    const slow = {
      [Symbol.iterator]: () => ({ next: () => ({ done: false, value: 1 }), return: () => never() as never }),
    };
    const options = { ...byId, drainTimeoutMs: 10 };
    for await (const _id of iterateWithOffsets(slow, new OffsetTracker(new ScriptedStore()), options)) break;
  });
});

/** Sources that give some items and then wait for ever, and how each tells that it was closed. */
const IDLE: ReadonlyArray<readonly [string, () => { items: AsyncIterable<number>; closed?: () => boolean }]> =
  [
    // An async generator that waits cannot be reached; it ends when what it waits for has.
    ['an async generator', () => ({ items: new Source().ids(0, { fifth: never }) })],
    [
      'a Readable',
      () => {
        const items = Readable.from(new Source().ids(0, { fifth: never }));
        return { items, closed: () => items.destroyed };
      },
    ],
    [
      'a ReadableStream',
      () => {
        let cancelled = false;
        let next = 0;
        const items = new ReadableStream<number>({
          pull: (controller) => (next < 5 ? controller.enqueue(next++) : never()),
          cancel: () => {
            cancelled = true;
          },
        });
        return { items, closed: () => cancelled && !items.locked };
      },
    ],
    [
      'events.on()',
      () => {
        const emitter = new EventEmitter();
        const events = on(emitter, 'item') as AsyncIterable<[number]>;
        for (const id of ids(0, 4)) emitter.emit('item', id);
        const items = {
          [Symbol.asyncIterator]() {
            const iterator = events[Symbol.asyncIterator]();
            return {
              next: async () => {
                const { done, value } = await iterator.next();
                return done === true ? { done, value: undefined } : { done: false as const, value: value[0] };
              },
              return: async () => ({
                done: true as const,
                value: (await iterator.return?.())?.value as undefined,
              }),
            };
          },
        };
        return { items, closed: () => emitter.listenerCount('item') === 0 };
      },
    ],
  ];

describe.each(IDLE)('while it waits for %s that gives nothing more', (_name, idle) => {
  async function waiting(options: Partial<IterateOptions<number>> = {}) {
    const { items, closed } = idle();
    const store = new ScriptedStore();
    const tracker = new OffsetTracker(store, { strategy: late });
    const loop = iterateWithOffsets(items, tracker, { ...byId, ...options });
    for (let n = 0; n < 5; n++) await loop.next();
    const next = loop.next();
    next.catch(() => undefined);
    await until(() => tracker.stats('a').recorded === 5);
    return { loop, next, store, closed };
  }

  it('an abort is heard at once: its reason surfaces after the commits, and the source is closed', async () => {
    const abort = new AbortController();
    const { next, store, closed } = await waiting({ signal: abort.signal });
    abort.abort(boom);
    expect(await failure(next)).toBe(boom);
    expect(await store.at('a')).toBe('seq:4');
    expect(closed?.()).not.toBe(false);
    expect(getEventListeners(abort.signal, 'abort')).toHaveLength(0);
  });

  it('return() is heard at once: it ends the waiting call too', async () => {
    const { loop, next, store, closed } = await waiting();
    expect(await loop.return()).toEqual({ done: true, value: undefined });
    expect(await next).toEqual({ done: true, value: undefined });
    expect(await store.at('a')).toBe('seq:4');
    expect(closed?.()).not.toBe(false);
  });

  it('throw() is heard at once', async () => {
    const { loop, next, store } = await waiting();
    expect(await failure(loop.throw(boom))).toBe(boom);
    expect(await next).toEqual({ done: true, value: undefined });
    expect(await store.at('a')).toBe('seq:4');
  });
});

describe('an abort', () => {
  it('that came before asks the source for nothing', async () => {
    let asked = 0;
    const items = {
      [Symbol.iterator]: () => ({
        next: () => {
          asked++;
          return { done: false, value: asked };
        },
      }),
    };
    const signal = AbortSignal.abort(boom);
    const loop = iterateWithOffsets(items, new OffsetTracker(new ScriptedStore()), { ...byId, signal });
    expect(await failure(loop.next())).toBe(boom);
    expect(asked).toBe(0);
    expect(getEventListeners(signal, 'abort')).toHaveLength(0);
  });

  it('while the body works is heard at the next item, and the item whose work is done is recorded', async () => {
    const store = new ScriptedStore();
    const source = new Source();
    const abort = new AbortController();
    const seen: number[] = [];
    const error = await failure(
      (async () => {
        const options = { ...byId, signal: abort.signal };
        const tracker = new OffsetTracker(store, { strategy: late });
        for await (const id of iterateWithOffsets(source.ids(), tracker, options)) {
          if (id === 3) abort.abort(boom);
          await turn();
          seen.push(id);
        }
      })(),
    );
    expect(error).toBe(boom);
    expect(seen).toEqual([0, 1, 2, 3]);
    expect(await store.at('a')).toBe('seq:3');
    expect(source.closed).toBe(true);
    expect(getEventListeners(abort.signal, 'abort')).toHaveLength(0);
  });

  it.each(['the commit of an item', 'the last commits', 'the place of its source'])(
    'is heard within drainTimeoutMs while the store is asked for %s',
    async (what) => {
      const store = new ScriptedStore();
      const held = gate();
      let asked = false;
      const hold = (): Promise<void> => {
        asked = true;
        return held.opened;
      };
      if (what === 'the place of its source') store.beforeRead = hold;
      else store.beforeCommit = hold;
      const abort = new AbortController();
      const options = { source: 'a', signal: abort.signal, drainTimeoutMs: 10 };
      const tracker = new OffsetTracker(store, {
        strategy: what === 'the last commits' ? late : CommitStrategy.auto,
      });
      const loop = (async () => {
        for await (const _letter of iterateWithOffsets('ab', tracker, options));
      })();
      loop.catch(() => undefined);
      await until(() => asked);
      abort.abort(boom);
      expect(await failure(loop)).toBe(boom);
      held.open();
      await until(() => timers.live === 0);
    },
  );

  it.each([0, '', null])('whose reason is %p gives an AbortError with it as the cause', async (reason) => {
    const signal = AbortSignal.abort(reason);
    const loop = iterateWithOffsets([1], new OffsetTracker(new ScriptedStore()), { ...byId, signal });
    expect(await failure(loop.next())).toMatchObject({
      name: 'AbortError',
      code: 'ABORT_ERR',
      cause: reason,
    });
  });

  it('holds no listener where the loop was not begun, or has ended', async () => {
    const { signal } = new AbortController();
    const tracker = new OffsetTracker(new ScriptedStore());
    iterateWithOffsets([1], tracker, { ...byId, signal });
    expect(getEventListeners(signal, 'abort')).toHaveLength(0);
    for await (const _id of iterateWithOffsets([1, 2], tracker, { ...byId, signal })) {
      expect(getEventListeners(signal, 'abort')).toHaveLength(1);
    }
    expect(getEventListeners(signal, 'abort')).toHaveLength(0);
  });
});

it('leaves within drainTimeoutMs where the store does not answer', async () => {
  const store = new ScriptedStore();
  const held = gate();
  store.beforeCommit = () => held.opened;
  const tracker = new OffsetTracker(store, { strategy: late });
  for await (const id of iterateWithOffsets(ids(0, 9), tracker, { ...byId, drainTimeoutMs: 10 })) {
    if (id === 3) break;
  }
  expect(await store.at('a')).toBeUndefined();
  held.open();
  await until(() => timers.live === 0);
  expect(await store.at('a')).toBe('seq:2');
});

it('records nothing once it was left', async () => {
  const store = new ScriptedStore();
  const loop = iterateWithOffsets(ids(0, 9), new OffsetTracker(store), byId);
  await loop.next();
  await loop.next();
  await loop.return();
  expect(await loop.next()).toEqual({ done: true, value: undefined });
  expect(await loop.return()).toEqual({ done: true, value: undefined });
  expect(await failure(loop.throw(boom))).toBe(boom);
  expect(await store.at('a')).toBe('seq:0');
});

describe('refuses at the call', () => {
  const tracker = new OffsetTracker(new ScriptedStore());

  it.each<[string, unknown, unknown, unknown, string]>([
    ['no iterable', undefined, tracker, 'a', '`iterable` to be an iterable or async iterable'],
    ['null for the iterable', null, tracker, 'a', '`iterable`'],
    ['a generator function', function* () {}, tracker, 'a', 'got a function'],
    ['no tracker', [], {}, 'a', '`tracker` to be an OffsetTracker'],
    ['no source', [], tracker, undefined, 'a source name or options with `source`'],
    ['offsetOf', [], tracker, { source: 'a', offsetOf: 'id' }, '`offsetOf` to be a function'],
    ['signal', [], tracker, { source: 'a', signal: 'stop' }, '`signal` to be an AbortSignal'],
    ['drainTimeoutMs', [], tracker, { source: 'a', drainTimeoutMs: '5' }, '`drainTimeoutMs`'],
  ])('%s of the wrong type', (_case, iterable, given, options, message) => {
    const call = (): unknown => iterateWithOffsets(iterable as [], given as OffsetTracker, options as string);
    expect(call).toThrow(TypeError);
    expect(call).toThrow(message);
  });
});
