import { inspect } from 'node:util';
import { describe, expect, it } from '@jest/globals';
import {
  ClosedError,
  DeliveryError,
  FencedError,
  InvalidOffsetError,
  OffsetError,
  OffsetIoError,
  OffsetLockError,
  OffsetSerializationError,
  SourceNotFoundError,
  UnsupportedError,
} from '../lib/errors.js';

/** Each class, the code that it has by default, and the others that it may have. */
const CLASSES = [
  { name: 'InvalidOffsetError', Class: InvalidOffsetError, code: 'OFFSET_INVALID', other: 'OFFSET_BEHIND' },
  {
    name: 'SourceNotFoundError',
    Class: SourceNotFoundError,
    code: 'OFFSET_SOURCE_NOT_FOUND',
    other: undefined,
  },
  { name: 'OffsetIoError', Class: OffsetIoError, code: 'OFFSET_IO', other: 'OFFSET_DURABILITY_UNKNOWN' },
  {
    name: 'OffsetSerializationError',
    Class: OffsetSerializationError,
    code: 'OFFSET_SERIALIZATION',
    other: 'OFFSET_CORRUPT',
  },
  { name: 'OffsetLockError', Class: OffsetLockError, code: 'OFFSET_LOCK_TIMEOUT', other: undefined },
  { name: 'FencedError', Class: FencedError, code: 'OFFSET_FENCED', other: undefined },
  { name: 'ClosedError', Class: ClosedError, code: 'OFFSET_CLOSED', other: undefined },
  { name: 'DeliveryError', Class: DeliveryError, code: 'OFFSET_NACKED', other: 'OFFSET_UNACKED' },
  { name: 'UnsupportedError', Class: UnsupportedError, code: 'OFFSET_UNSUPPORTED', other: undefined },
] as const;

type AnyClass = new (message: string, options?: object) => OffsetError;

describe.each(CLASSES)('$name', ({ name, Class, code, other }) => {
  const Made = Class as AnyClass;

  it('is an OffsetError and an Error, with its name and code', () => {
    const error = new Made('what happened');
    expect(error).toBeInstanceOf(Class);
    expect(error).toBeInstanceOf(OffsetError);
    expect(error).toBeInstanceOf(Error);
    expect(error).toMatchObject({ name, code, message: 'what happened' });
    expect(error.stack).toMatch(/errors\.spec/);
    expect(String(error)).toBe(`${name}: what happened`);
    expect(inspect(error)).toContain(`${name}: what happened`);
  });

  it('is no instance of its siblings', () => {
    const error = new Made('what happened');
    const siblings = CLASSES.filter((one) => one.Class !== Class);
    expect(siblings.filter((one) => error instanceof one.Class)).toEqual([]);
  });

  it('carries the source and the cause where they are given', () => {
    const cause = new Error('why');
    const error = new Made('what happened', { source: 'orders', cause });
    expect(error.source).toBe('orders');
    expect(error.cause).toBe(cause);
    expect(inspect(error)).toContain('why');
  });

  it('has no more properties of its own than it was given', () => {
    expect(Object.keys(new Made('what happened'))).toEqual(['code']);
    expect(Object.keys(new Made('what happened', { source: undefined }))).toEqual(['code']);
    expect('cause' in new Made('what happened', { source: 'orders' })).toBe(false);
    expect(Object.keys(new Made('what happened', { source: 'orders', cause: 5 }))).toEqual([
      'code',
      'source',
    ]);
  });

  if (other !== undefined) {
    it(`may have the code ${other}`, () => {
      const error = new Made('what happened', { code: other });
      expect(error).toMatchObject({ name, code: other });
    });
  }
});

describe('OffsetError', () => {
  it('has every code once', () => {
    const codes = CLASSES.flatMap(({ code, other }) => (other === undefined ? [code] : [code, other]));
    expect(new Set(codes).size).toBe(13);
    expect(codes).toHaveLength(13);
  });

  it('can be made with any code', () => {
    const error = new OffsetError('what happened', { code: 'OFFSET_IO', cause: null });
    expect(error).toMatchObject({ name: 'OffsetError', code: 'OFFSET_IO', cause: null });
    expect(error).not.toBeInstanceOf(OffsetIoError);
  });
});
