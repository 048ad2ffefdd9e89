import { OffsetSerializationError } from './errors.js';
import { quote, received, timeOf } from './validate.js';

/** A value that every store can keep and give back as it was: JSON's values, bigint and Date. */
export type MetadataValue =
  | null
  | boolean
  | number
  | string
  | bigint
  | Date
  | readonly MetadataValue[]
  | { readonly [key: string]: MetadataValue | undefined };

/**
 * What a caller keeps beside an offset: a file's fingerprint, a host name, a lag. Numbers are finite, dates
 * valid, strings without lone surrogates; properties that are undefined are left out; at most 32 levels deep.
 */
export interface Metadata {
  readonly [key: string]: MetadataValue | undefined;
}

const MAX_DEPTH = 32;

// Setting these on an object does something else than adding a property, in us or in who reads it later.
const REFUSED_KEYS = new Set(['__proto__', 'constructor', 'prototype']);

function refuse(path: string, expected: string, value: unknown): never {
  throw new OffsetSerializationError(
    `Expected ${expected} at ${path}, got ${received(value)}: metadata holds null, booleans, finite numbers, ` +
      'strings, bigints, valid Dates, arrays and plain objects',
  );
}

function copyValue(value: unknown, path: string, depth: number): MetadataValue {
  switch (typeof value) {
    case 'boolean':
    case 'bigint':
      return value;
    case 'number':
      if (!Number.isFinite(value)) refuse(path, 'a finite number', value);
      return value === 0 ? 0 : value; // -0 does not survive JSON
    case 'string':
      if (!value.isWellFormed()) refuse(path, 'a string without lone surrogates', value);
      return value;
    case 'object':
      break;
    default:
      refuse(path, 'a value that can be stored', value);
  }
  if (value === null) return null;
  if (depth >= MAX_DEPTH) refuse(path, `at most ${MAX_DEPTH} levels (and no cycle)`, value);
  if (Object.prototype.toString.call(value) === '[object Date]') {
    const ms = timeOf(value);
    if (Number.isNaN(ms)) refuse(path, 'a valid Date', value);
    return new Date(ms);
  }
  if (Array.isArray(value)) {
    // Array.from also reads the holes of a sparse array, which are then refused as undefined.
    return Array.from(value, (item, index) => copyValue(item, `${path}[${index}]`, depth + 1));
  }
  return copyObject(value, path, depth);
}

function copyObject(value: object, path: string, depth: number): Metadata {
  const prototype: unknown = Object.getPrototypeOf(value);
  // A plain object of another realm has a prototype that is not ours, but whose own prototype is null too.
  if (prototype !== null && Object.getPrototypeOf(prototype) !== null) refuse(path, 'a plain object', value);
  if (Object.prototype.toString.call(value) !== '[object Object]') refuse(path, 'a plain object', value);
  const copy: Record<string, MetadataValue> = {};
  for (const [key, item] of Object.entries(value)) {
    if (item === undefined) continue;
    if (REFUSED_KEYS.has(key) || !key.isWellFormed()) {
      throw new OffsetSerializationError(
        `Expected another key than ${quote(key)} at ${path}: it cannot be stored`,
      );
    }
    copy[key] = copyValue(item, `${path}.${key}`, depth + 1);
  }
  return copy;
}

/**
 * A deep copy of what a caller gave as metadata, or of what goes back to one: nobody else holds a part of it.
 *
 * @internal
 * @throws OffsetSerializationError `OFFSET_SERIALIZATION` for what could not be written and read back as it is
 */
export function copyMetadata(metadata: unknown): Metadata {
  if (typeof metadata !== 'object' || metadata === null || Array.isArray(metadata)) {
    refuse('metadata', 'a plain object', metadata);
  }
  return copyObject(metadata, 'metadata', 0);
}

/**
 * Whether two copies hold the same; the order of keys does not matter.
 *
 * @internal
 */
export function metadataEquals(a: MetadataValue | undefined, b: MetadataValue | undefined): boolean {
  if (a === b) return true;
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false;
  if (a instanceof Date || b instanceof Date) {
    return a instanceof Date && b instanceof Date && a.getTime() === b.getTime();
  }
  if (Array.isArray(a) !== Array.isArray(b)) return false;
  const left = a as Readonly<Record<string, MetadataValue>>;
  const right = b as Readonly<Record<string, MetadataValue>>;
  const keys = Object.keys(left);
  return (
    keys.length === Object.keys(right).length &&
    keys.every((key) => Object.hasOwn(right, key) && metadataEquals(left[key], right[key]))
  );
}
