import { InvalidOffsetError } from '../errors.js';
import { messageOf } from '../failures.js';
import { copyMetadata, type Metadata } from '../metadata.js';
import { Offset, type OffsetInput } from '../offset.js';
import { argumentTypeError, assertSource, quote } from '../validate.js';

/** How a stream is told, of each item, where it stands. */
export interface PlaceOptions<T> {
  /**
   * The source of the items: one name for all, or a function that names each item's. This function and the two
   * below are called for every item and answer at once: an async one is refused with `OFFSET_INVALID`.
   */
  readonly source: string | ((item: T) => string);
  /**
   * The item's offset, which no other item of its source has. `index` is the item's place in this stream,
   * zero-based. Default: the items of each source are counted: the first is sequence 0, or the one after the
   * committed offset.
   */
  readonly offsetOf?: ((item: T, index: number) => OffsetInput) | undefined;
  /** What to keep beside the item's offset. Default: nothing. */
  readonly metadataOf?: ((item: T) => Metadata | undefined) | undefined;
  /**
   * `'continue'`: the source of the stream starts after the committed offset. `'skip'`: it replays from its
   * beginning, and the items at or before the committed offset are dropped here; the stages before this one see them
   * again. Custom offsets have no order: the items up to the committed one are dropped, and it is an error when it
   * does not come up. Where the committed offset is earliest or latest, nothing is dropped. Default: `'continue'`.
   */
  readonly resume?: 'continue' | 'skip' | undefined;
}

/** Where a source stands in a stream that counts or skips. */
interface Position {
  /** The sequence that the next item gets, where items are counted: a number for as long as that is exact. */
  next: number | bigint;
  /** The offset up to which items are dropped; undefined when none is, or no more. */
  dropThrough: Offset | undefined;
  dropped: number;
}

/** What is done with an item once its place is known. */
export interface Taker<T, R> {
  take(item: T, source: string, offset: OffsetInput, metadata: Metadata | undefined, index: number): R;
}

/**
 * Tells of each item of a stream where it stands: its source, its offset and metadata, whether it was done in an
 * earlier run and is dropped. What is done with it then is the taker's.
 */
export class ItemPlaces<T, R> {
  readonly #source: string | ((item: T) => string);
  readonly #offsetOf: ((item: T, index: number) => OffsetInput) | undefined;
  readonly #metadataOf: ((item: T) => Metadata | undefined) | undefined;
  readonly #skip: boolean;
  /** Whether an item's offset, or whether it is dropped, depends on what is committed. */
  readonly #positioned: boolean;
  readonly #committed: (source: string) => Promise<Offset>;
  readonly #taker: Taker<T, R>;
  /** The one source of all items, where nothing is asked of an item but its offset. */
  readonly #plainSource: string | undefined;
  readonly #positions = new Map<string, Position>();
  readonly #sources = new Set<string>();
  #index = 0;
  /**
   * Nothing is taken any more: an item failed, or the stream is being destroyed. Node still writes items that it
   * had buffered after one that failed at once; recording them would commit past the failed one.
   */
  #ended = false;

  /**
   * @param committed - reads where a source stands, earliest or latest when nothing is committed
   * @throws TypeError or RangeError for what is no source or option
   */
  constructor(options: PlaceOptions<T>, committed: (source: string) => Promise<Offset>, taker: Taker<T, R>) {
    const { source, offsetOf, metadataOf, resume = 'continue' } = options;
    if (typeof source !== 'function') assertSource(source);
    assertFunction('offsetOf', offsetOf);
    assertFunction('metadataOf', metadataOf);
    if (resume !== 'continue' && resume !== 'skip') {
      throw argumentTypeError("`resume` to be 'continue' or 'skip'", resume);
    }
    this.#source = source;
    this.#offsetOf = offsetOf;
    this.#metadataOf = metadataOf;
    this.#skip = resume === 'skip';
    this.#positioned = this.#skip || offsetOf === undefined;
    this.#committed = committed;
    this.#taker = taker;
    if (typeof source === 'string') {
      this.#sources.add(source);
      if (!this.#positioned && metadataOf === undefined) this.#plainSource = source;
    }
  }

  /** The sources seen, and the one that is known beforehand. */
  get sources(): ReadonlySet<string> {
    return this.#sources;
  }

  /** No further item is taken. */
  end(): void {
    this.#ended = true;
  }

  /**
   * Takes the item; undefined when it is dropped. A promise only where something is waited for.
   *
   * @throws InvalidOffsetError that names the item's index for what the caller's functions do wrong; what `take`
   *   throws. Nothing is taken after either
   */
  next(item: T): R | undefined | Promise<Awaited<R> | undefined> {
    if (this.#ended) return undefined;
    try {
      const index = this.#index++;
      const plain = this.#plainSource;
      if (plain !== undefined) {
        return this.#taker.take(item, plain, this.#given(item, index, plain), undefined, index);
      }
      const source = this.#sourceOf(item, index);
      if (!this.#positioned) return this.#pass(source, this.#given(item, index, source), item, index);
      const position = this.#positions.get(source);
      if (position !== undefined) return this.#nextAt(position, source, item, index);
      return this.#locateAndTake(source, item, index);
    } catch (error) {
      this.#ended = true;
      throw error;
    }
  }

  async #locateAndTake(source: string, item: T, index: number): Promise<Awaited<R> | undefined> {
    const position = await this.#locate(source);
    // The stream may have ended while the store was asked.
    if (this.#ended) return undefined;
    try {
      return await Promise.resolve(this.#nextAt(position, source, item, index));
    } catch (error) {
      this.#ended = true;
      throw error;
    }
  }

  #nextAt(position: Position, source: string, item: T, index: number): R | undefined {
    const offset = this.#offsetOf === undefined ? counted(position) : this.#given(item, index, source);
    if (position.dropThrough !== undefined) {
      const place = converted(offset, index, source);
      if (isDropped(position, position.dropThrough, place, source, index)) return undefined;
      // What is counted only goes up.
      if (this.#offsetOf === undefined) position.dropThrough = undefined;
    }
    return this.#pass(source, offset, item, index);
  }

  #pass(source: string, offset: OffsetInput, item: T, index: number): R {
    const metadata = this.#metadataOf === undefined ? undefined : this.#metadata(item, index, source);
    return this.#taker.take(item, source, offset, metadata, index);
  }

  /**
   * After what `take()` began with an item failed: throws an error that names the item when the failure lies in what
   * the caller's functions gave for it. Asked only then, for whoever takes the item checks the same.
   */
  check(source: string, offset: OffsetInput, metadata: Metadata | undefined, index: number): void {
    converted(offset, index, source);
    if (metadata !== undefined) checkMetadata(metadata, index, source);
  }

  /**
   * At a clean end: whether the items to drop came up.
   *
   * @throws InvalidOffsetError when all items of a source were dropped, and its committed custom offset was not
   *   among them
   */
  finish(): void {
    for (const [source, { dropThrough, dropped }] of this.#positions) {
      if (dropThrough?.kind === 'custom') {
        throw new InvalidOffsetError(
          `The committed offset ${quote(Offset.format(dropThrough))} of source ${quote(source)} did not come up when it ` +
            `was replayed: all its ${dropped} items were dropped, though which of them are done cannot be told`,
          { source },
        );
      }
    }
  }

  /** Reads where the source stands. */
  async #locate(source: string): Promise<Position> {
    const committed = await this.#committed(source);
    const starts = Offset.isEarliest(committed) || Offset.isLatest(committed);
    if (this.#offsetOf === undefined && !starts && committed.kind !== 'sequence') {
      throw new InvalidOffsetError(
        `Expected a sequence committed for source ${quote(source)}, whose items are counted, got ` +
          `${quote(Offset.format(committed))}: give offsetOf, or reset the source`,
        { source },
      );
    }
    const next = this.#skip || committed.kind !== 'sequence' ? 0n : committed.value + 1n;
    const position: Position = {
      next: next <= Number.MAX_SAFE_INTEGER ? Number(next) : next,
      dropThrough: this.#skip && !starts ? committed : undefined,
      dropped: 0,
    };
    this.#positions.set(source, position);
    return position;
  }

  #sourceOf(item: T, index: number): string {
    if (typeof this.#source === 'string') return this.#source;
    try {
      const source = this.#source(item);
      if (!this.#sources.has(source)) {
        refusePromise('source', source);
        assertSource(source);
        this.#sources.add(source);
      }
      return source;
    } catch (error) {
      throw badItem('source', index, undefined, error);
    }
  }

  #given(item: T, index: number, source: string): OffsetInput {
    try {
      const offset = this.#offsetOf!(item, index);
      if (typeof offset === 'object') assertPlace(offset);
      return offset;
    } catch (error) {
      throw badItem('offset', index, source, error);
    }
  }

  #metadata(item: T, index: number, source: string): Metadata | undefined {
    try {
      const metadata = this.#metadataOf!(item);
      refusePromise('metadataOf', metadata);
      return metadata;
    } catch (error) {
      throw badItem('metadata', index, source, error);
    }
  }
}

/** The next number of a source whose items are counted. */
function counted(position: Position): number | bigint {
  const offset = position.next;
  // Past the safe integers the same counting goes on exactly, only slower.
  position.next =
    typeof offset === 'number' && offset < Number.MAX_SAFE_INTEGER ? offset + 1 : BigInt(offset) + 1n;
  return offset;
}

/** Whether the item lies at or before what is committed for its source. */
function isDropped(
  position: Position,
  through: Offset,
  offset: Offset,
  source: string,
  index: number,
): boolean {
  const order = Offset.compare(offset, through);
  if (order === undefined) {
    // Custom offsets have no order: what comes up to the committed one was before it.
    if (offset.kind === 'custom' && through.kind === 'custom') {
      position.dropped++;
      return true;
    }
    throw new InvalidOffsetError(
      `Expected offsets of the kind of the committed one, ${quote(Offset.format(through))}, to skip what is done of ` +
        `source ${quote(source)}, got ${quote(Offset.format(offset))} for item ${index}`,
      { source },
    );
  }
  if (order > 0) return false;
  position.dropped++;
  if (order === 0 && through.kind === 'custom') position.dropThrough = undefined;
  return true;
}

function converted(given: OffsetInput, index: number, source: string): Offset {
  try {
    return Offset.from(given);
  } catch (error) {
    throw badItem('offset', index, source, error);
  }
}

function checkMetadata(metadata: Metadata, index: number, source: string): void {
  try {
    copyMetadata(metadata);
  } catch (error) {
    throw badItem('metadata', index, source, error);
  }
}

/** Refuses objects that stand for no item: those of an async function, and the two ends of a source. */
function assertPlace(offset: Offset | Date | null): void {
  refusePromise('offsetOf', offset);
  const kind: unknown = (offset as Partial<Offset> | null)?.kind;
  if (kind === 'earliest' || kind === 'latest') {
    throw new InvalidOffsetError(
      `Expected \`offsetOf\` to return the position of the item, a sequence, timestamp or custom offset, got ${kind}`,
    );
  }
}

function refusePromise(name: string, value: unknown): void {
  if (typeof value !== 'object' || value === null || !('then' in value)) return;
  // Nobody waits for it; if it fails, that is no further failure.
  Promise.resolve(value).catch(() => undefined);
  throw argumentTypeError(
    `\`${name}\` to return its answer at once (it is called for every item, and must not be an async function)`,
    value,
  );
}

function badItem(
  what: 'source' | 'offset' | 'metadata',
  index: number,
  source: string | undefined,
  error: unknown,
): InvalidOffsetError {
  const item = source === undefined ? `item ${index}` : `item ${index} of source ${quote(source)}`;
  return new InvalidOffsetError(`The ${what} of ${item} could not be told: ${messageOf(error)}`, {
    source,
    cause: error,
  });
}

function assertFunction(name: string, value: unknown): void {
  if (value !== undefined && typeof value !== 'function') {
    throw argumentTypeError(`\`${name}\` to be a function or undefined`, value);
  }
}
