/**
 * Metadata as JSON. What JSON has no word for, bigint and Date, superjson annotates; it is loaded only for
 * metadata that holds such a value.
 */
import type { SuperJSON } from 'superjson';
import { OffsetSerializationError } from '../errors.js';
import type { MetadataValue } from '../metadata.js';
import { quote } from '../validate.js';

type Serializer = Pick<SuperJSON, 'serialize'>;

let serializer: Serializer | undefined;

/**
 * Makes superjson ready: needed before metadata is encoded or decoded that has annotations, and only then. The
 * instance is our own, because others can register classes and transformations with the default one.
 */
export async function loadSerializer(): Promise<void> {
  if (serializer !== undefined) return;
  const { SuperJSON } = await import('superjson');
  serializer ??= new SuperJSON();
}

export function serializerLoaded(): boolean {
  return serializer !== undefined;
}

export function superjson(): Serializer {
  if (serializer === undefined) throw new Error('superjson was not loaded');
  return serializer;
}

/** Whether any value in there needs an annotation of superjson's. */
export function needsAnnotation(value: MetadataValue | undefined): boolean {
  if (typeof value === 'bigint') return true;
  if (typeof value !== 'object' || value === null) return false;
  return value instanceof Date || Object.values(value).some(needsAnnotation);
}

/**
 * The annotations of superjson's `meta`, by the path of what they are about.
 *
 * @throws Error for an annotation that we never write
 */
export function annotationsOf(meta: unknown): ReadonlyMap<string, string> {
  const annotations = new Map<string, string>();
  for (const [path, annotation] of Object.entries((meta as { values: object }).values)) {
    const type: unknown = Array.isArray(annotation) && annotation.length === 1 ? annotation[0] : undefined;
    // superjson has many more: with those a store's data could have us make errors, classes or regular expressions.
    if (type !== 'Date' && type !== 'bigint') throw new Error('an annotation that is never written');
    annotations.set(path, type);
  }
  return annotations;
}

/**
 * The JSON value with what the annotations say made of its strings, as superjson would (a test proves it),
 * but along the value's own properties only. superjson follows the annotations' paths, and one that hostile
 * data names may lead into a prototype.
 *
 * @param path - of the value itself; undefined for the whole that the paths begin in
 * @throws Error for an annotation of what is no string
 */
export function revive(
  value: unknown,
  path: string | undefined,
  annotations: ReadonlyMap<string, string>,
): unknown {
  const annotation = path === undefined ? undefined : annotations.get(path);
  if (annotation !== undefined) {
    if (typeof value !== 'string') throw new Error('an annotation of what is no string');
    return annotation === 'Date' ? new Date(value) : BigInt(value);
  }
  if (typeof value !== 'object' || value === null) return value;
  const below = path === undefined ? '' : `${path}.`;
  if (Array.isArray(value)) return value.map((item, index) => revive(item, `${below}${index}`, annotations));
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => [
      key,
      revive(item, `${below}${key.replace(/[\\.]/g, '\\$&')}`, annotations),
    ]),
  );
}

/** The error for metadata that was found, before it was written, to be read back as something else, or not at all. */
export function unwritableError(source: string, cause: unknown): OffsetSerializationError {
  return new OffsetSerializationError(
    `Expected metadata that can be written and read back as it is, and this of source ${quote(source)} cannot`,
    { source, cause },
  );
}
