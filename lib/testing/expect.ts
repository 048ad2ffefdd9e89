/** Assertions in the words of the contract. They compare texts, so that a failure can be read as it is printed. */
import assert from 'node:assert/strict';
import { inspect } from 'node:util';
import type { Checkpoint } from '../checkpoint.js';
import {
  ClosedError,
  FencedError,
  InvalidOffsetError,
  OffsetError,
  OffsetSerializationError,
} from '../errors.js';
import { Offset } from '../offset.js';
import type { OffsetStore } from '../offset-store.js';
import { quote } from '../validate.js';

const tagOf = (value: unknown): string => Object.prototype.toString.call(value);

/**
 * The value as text in which two are the same exactly when nothing was lost between them. Realms do not
 * matter: a Date of another vm context is a Date.
 */
export function render(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value);
  if (typeof value === 'bigint') return `${value}n`;
  if (Object.is(value, -0)) return '-0';
  if (typeof value !== 'object' || value === null) return String(value);
  if (tagOf(value) === '[object Date]') {
    const ms = (value as Date).getTime();
    return Number.isNaN(ms) ? 'Date(invalid)' : `Date(${new Date(ms).toISOString()})`;
  }
  if (Array.isArray(value)) return `[${value.map(render).join(', ')}]`;
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== null && Object.getPrototypeOf(prototype) !== null) return inspect(value);
  const entries = Object.entries(value).map(([key, item]) => `${JSON.stringify(key)}: ${render(item)}`);
  return `{ ${entries.toSorted().join(', ')} }`;
}

/** The offset as its text; what is no offset is shown for what it is. */
function renderOffset(offset: unknown): string {
  if (offset === undefined) return 'undefined';
  try {
    return Offset.format(offset as Offset);
  } catch {
    return `no offset: ${inspect(offset)}`;
  }
}

/** The Map as entries of name and text, in the order of the names. */
function renderMap(map: unknown, renderValue: (value: unknown) => string): Array<[string, string]> {
  assert.equal(tagOf(map), '[object Map]', `Expected a Map, got ${inspect(map)}`);
  return Array.from(map as Map<string, unknown>, ([source, value]): [string, string] => [
    source,
    renderValue(value),
  ]).toSorted(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
}

/** `get(source)` gives the offset, or undefined. */
export async function expectOffset(
  store: OffsetStore,
  source: string,
  expected: Offset | undefined,
): Promise<void> {
  const actual = renderOffset(await store.get(source));
  const wanted = renderOffset(expected);
  if (actual !== wanted) {
    assert.fail(`Expected get(${quote(source)}) to give ${shorten(wanted)}, got ${shorten(actual)}`);
  }
}

/** `getAll()` gives these sources with these offsets, and no other. */
export async function expectAll(store: OffsetStore, expected: Iterable<[string, Offset]>): Promise<void> {
  assert.deepEqual(renderMap(await store.getAll(), renderOffset), renderMap(new Map(expected), renderOffset));
}

type Kept = Omit<Checkpoint, 'committedAt'>;

/** What is kept for the source beside the time, as text: `epoch 2, seq:5, metadata undefined`. */
function renderKept(kept: Kept | undefined): string {
  if (kept === undefined) return 'undefined';
  return `epoch ${kept.epoch}, ${renderOffset(kept.offset)}, metadata ${render(kept.metadata)}`;
}

/** `inspect(source)` gives this checkpoint, whenever it was committed. */
export async function expectCheckpoint(
  store: Required<Pick<OffsetStore, 'inspect'>>,
  source: string,
  expected: Kept | undefined,
): Promise<void> {
  const actual = renderKept(await store.inspect(source));
  const wanted = renderKept(expected);
  if (actual !== wanted) {
    assert.fail(`Expected inspect(${quote(source)}) to give ${shorten(wanted)}, got ${shorten(actual)}`);
  }
}

/** `inspectAll()` gives these checkpoints, whenever they were committed, and no other. */
export async function expectAllCheckpoints(
  store: Required<Pick<OffsetStore, 'inspectAll'>>,
  expected: Iterable<[string, Kept]>,
): Promise<void> {
  const text = (value: unknown): string => renderKept(value as Kept);
  assert.deepEqual(renderMap(await store.inspectAll(), text), renderMap(new Map(expected), text));
}

/** `committedAt` of the source, in milliseconds. */
export async function committedAtMs(
  store: Required<Pick<OffsetStore, 'inspect'>>,
  source: string,
): Promise<number> {
  const committedAt: unknown = (await store.inspect(source))?.committedAt;
  assert.equal(
    tagOf(committedAt),
    '[object Date]',
    `Expected committedAt to be a Date, got ${inspect(committedAt)}`,
  );
  const ms = (committedAt as Date).getTime();
  assert.ok(!Number.isNaN(ms), 'Expected committedAt to be a valid Date, got an invalid one');
  return ms;
}

/** All that the store shows, as text: what a refused call has to leave as it was. */
async function stateOf(store: OffsetStore): Promise<string> {
  const offsets = renderMap(await store.getAll(), renderOffset);
  const sources = offsets.map(([source]) => source);
  const checkpoints =
    store.inspectAll === undefined
      ? []
      : renderMap(
          await store.inspectAll(),
          (value) => `${renderKept(value as Kept)}, ${render((value as Checkpoint).committedAt)}`,
        );
  const epochs: string[] = [];
  for (const source of sources) epochs.push(`${source} ${await store.epoch?.(source)}`);
  return inspect({ offsets, checkpoints, epochs }, { depth: 5 });
}

/** The calls change nothing that the store shows, whether they succeed or not. */
export async function expectUnchanged(store: OffsetStore, calls: () => Promise<void>): Promise<void> {
  const before = await stateOf(store);
  await calls();
  assert.equal(await stateOf(store), before, 'Expected nothing to be changed');
}

const REFUSALS = {
  argument: {
    expected: 'TypeError or RangeError',
    // By name, for an error may come from another realm.
    is: (error: unknown) =>
      ['TypeError', 'RangeError'].includes((error as Partial<Error> | null)?.name ?? ''),
  },
  invalid: {
    expected: 'InvalidOffsetError OFFSET_INVALID',
    is: (error: unknown) => error instanceof InvalidOffsetError && error.code === 'OFFSET_INVALID',
  },
  behind: {
    expected: 'InvalidOffsetError OFFSET_BEHIND',
    is: (error: unknown) => error instanceof InvalidOffsetError && error.code === 'OFFSET_BEHIND',
  },
  fenced: {
    expected: 'FencedError OFFSET_FENCED',
    is: (error: unknown) => error instanceof FencedError && error.code === 'OFFSET_FENCED',
  },
  serialization: {
    expected: 'OffsetSerializationError OFFSET_SERIALIZATION',
    is: (error: unknown) =>
      error instanceof OffsetSerializationError && error.code === 'OFFSET_SERIALIZATION',
  },
  overtaken: {
    expected: 'FencedError OFFSET_FENCED or InvalidOffsetError OFFSET_BEHIND',
    is: (error: unknown): boolean => REFUSALS.fenced.is(error) || REFUSALS.behind.is(error),
  },
  closed: {
    expected: 'ClosedError OFFSET_CLOSED',
    is: (error: unknown) => error instanceof ClosedError && error.code === 'OFFSET_CLOSED',
  },
} as const;

/** How a store may refuse. */
export type Refusal = keyof typeof REFUSALS;

/** The call is refused so: by a rejection, never by a throw. Gives the error. */
export async function expectRefusal(what: string, refusal: Refusal, call: () => unknown): Promise<Error> {
  const { expected, is } = REFUSALS[refusal];
  const wrong = (but: string): never =>
    assert.fail(`Expected ${what} to reject with ${expected}, but it ${but}`);
  let promise: unknown;
  try {
    promise = call();
  } catch (error) {
    return wrong(`threw at once: ${describeError(error)}`);
  }
  let given: unknown;
  try {
    given = await promise;
  } catch (error) {
    return is(error) ? (error as Error) : wrong(`rejected with ${describeError(error)}`);
  }
  return wrong(`resolved to ${shorten(inspect(given))}`);
}

/** The error is one of ours that says which source it is about. */
export function expectSource(error: Error, source: string): void {
  const given = error instanceof OffsetError ? error.source : undefined;
  assert.equal(given, source, `Expected error.source to be ${quote(source)}, got ${inspect(given)}`);
}

/** All were fulfilled, or were refused in the one way that is allowed here. */
export function expectSettled(
  what: string,
  results: ReadonlyArray<PromiseSettledResult<unknown>>,
  allowed?: Refusal,
): void {
  for (const result of results) {
    if (result.status === 'fulfilled') continue;
    if (allowed !== undefined && REFUSALS[allowed].is(result.reason)) continue;
    const but = allowed === undefined ? '' : `, or to be refused with ${REFUSALS[allowed].expected}`;
    assert.fail(`Expected ${what} to succeed${but}, but one rejected with ${describeError(result.reason)}`);
  }
}

function describeError(error: unknown): string {
  if (!(error instanceof Error)) return inspect(error);
  const code = (error as { code?: unknown }).code;
  return `${error.name}${typeof code === 'string' ? ` ${code}` : ''}: ${error.message}`;
}

function shorten(text: string): string {
  return text.length > 200 ? `${text.slice(0, 200)}… (${text.length} characters)` : text;
}
