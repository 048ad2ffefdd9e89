/**
 * The format of the Rust crate `streamweave-offset`, which is read and never written: a JSON object of
 * sources, `{"orders":{"Sequence":100},"x":"Earliest"}`. `JSON.parse` would round sequences above 2^53 and
 * drop a source that stands there twice, so the text is read by its own small grammar.
 */
import { isUtf8 } from 'node:buffer';
import { Offset } from '../../offset.js';
import { assertSource, quote } from '../../validate.js';
import type { SourceState } from '../commit-rules.js';

const SPACE = /[ \t\n\r]*/y;
// oxlint-disable-next-line no-control-regex -- JSON wants control characters escaped, and so do we.
const STRING = /"(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"/y;
const INTEGER = /(?:0|[1-9][0-9]*)(?![0-9.eE])/y;
const RFC3339 =
  /^([0-9]{4})-([0-9]{2})-([0-9]{2})[Tt]([0-9]{2}):([0-9]{2}):([0-9]{2})(?:\.([0-9]{1,9}))?(?:[Zz]|([+-])([0-9]{2}):([0-9]{2}))$/;

class Scanner {
  #at = 0;
  constructor(readonly text: string) {}

  #take(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.#at;
    const [found] = pattern.exec(this.text) ?? [];
    if (found !== undefined) this.#at += found.length;
    return found;
  }

  fail(expected: string): never {
    throw new Error(`expected ${expected} at character ${this.#at}`);
  }

  /** Takes the character if it is next. */
  has(character: string): boolean {
    this.#take(SPACE);
    if (this.text[this.#at] !== character) return false;
    this.#at += 1;
    return true;
  }

  expect(character: string): void {
    if (!this.has(character)) this.fail(`"${character}"`);
  }

  string(): string {
    this.#take(SPACE);
    return JSON.parse(this.#take(STRING) ?? this.fail('a string')) as string;
  }

  integer(): bigint {
    this.#take(SPACE);
    return BigInt(this.#take(INTEGER) ?? this.fail('an integer'));
  }

  end(): void {
    this.#take(SPACE);
    if (this.#at !== this.text.length) this.fail('the end');
  }
}

/**
 * The moment, cut to the millisecond that a Date can hold. Cut, not rounded: an offset that comes out
 * earlier repeats an item, one that comes out later would skip one. A leap second is the last millisecond
 * before it, for the same reason.
 */
function timestamp(text: string): Date {
  const [, year, month, day, hour, minute, second, fraction = '', sign, offsetHour, offsetMinute] =
    RFC3339.exec(text) ?? [];
  const leap = second === '60';
  const iso = `${year}-${month}-${day}T${hour}:${minute}:${leap ? '59' : second}.${
    leap ? '999' : fraction.padEnd(3, '0').slice(0, 3)
  }Z`;
  const local = new Date(iso);
  // Date takes the 30th of February for the 2nd of March.
  if (Number.isNaN(local.getTime()) || local.toISOString() !== iso) {
    throw new Error(`expected an RFC 3339 timestamp, got ${quote(text)}`);
  }
  if (sign === undefined) return local;
  if (Number(offsetHour) > 23 || Number(offsetMinute) > 59) {
    throw new Error(`expected an RFC 3339 timestamp, got ${quote(text)}`);
  }
  const minutes = Number(offsetHour) * 60 + Number(offsetMinute);
  return new Date(local.getTime() - (sign === '+' ? minutes : -minutes) * 60_000);
}

function offset(scanner: Scanner): Offset {
  if (!scanner.has('{')) {
    const name = scanner.string();
    if (name === 'Earliest') return Offset.earliest;
    if (name === 'Latest') return Offset.latest;
    return scanner.fail('an offset');
  }
  const kind = scanner.string();
  scanner.expect(':');
  let value: Offset;
  switch (kind) {
    case 'Sequence':
      value = Offset.sequence(scanner.integer());
      break;
    case 'Timestamp':
      value = Offset.timestamp(timestamp(scanner.string()));
      break;
    case 'Custom':
      value = Offset.custom(scanner.string());
      break;
    default:
      return scanner.fail('an offset');
  }
  scanner.expect('}');
  return value;
}

/**
 * What a file of the crate's holds; every source is at epoch 0, committed when the file was written. An
 * empty object is refused: it is as likely the work of something else, and "no offsets" is never guessed.
 *
 * @throws Error saying what was expected
 */
export function decodeCrate(bytes: Buffer, committedAt: Date): Map<string, SourceState> {
  if (!isUtf8(bytes)) throw new Error('expected UTF-8');
  const scanner = new Scanner(bytes.toString('utf8'));
  const states = new Map<string, SourceState>();
  scanner.expect('{');
  do {
    const source = scanner.string();
    assertSource(source);
    if (states.has(source)) throw new Error(`source ${quote(source)} stands there twice`);
    scanner.expect(':');
    states.set(source, { offset: offset(scanner), epoch: 0, committedAt });
  } while (scanner.has(','));
  scanner.expect('}');
  scanner.end();
  return states;
}
