import { describe, expect, test } from 'tstyche';
import {
  ClosedError,
  DeliveryError,
  FencedError,
  InvalidOffsetError,
  OffsetError,
  type OffsetErrorCode,
  OffsetIoError,
  OffsetLockError,
  OffsetSerializationError,
  SourceNotFoundError,
  UnsupportedError,
} from 'streamweave-offset';

describe('errors', () => {
  test('carry the codes of their class', () => {
    expect<InvalidOffsetError['code']>().type.toBe<'OFFSET_INVALID' | 'OFFSET_BEHIND'>();
    expect<SourceNotFoundError['code']>().type.toBe<'OFFSET_SOURCE_NOT_FOUND'>();
    expect<OffsetIoError['code']>().type.toBe<'OFFSET_IO' | 'OFFSET_DURABILITY_UNKNOWN'>();
    expect<OffsetSerializationError['code']>().type.toBe<'OFFSET_SERIALIZATION' | 'OFFSET_CORRUPT'>();
    expect<OffsetLockError['code']>().type.toBe<'OFFSET_LOCK_TIMEOUT'>();
    expect<FencedError['code']>().type.toBe<'OFFSET_FENCED'>();
    expect<ClosedError['code']>().type.toBe<'OFFSET_CLOSED'>();
    expect<DeliveryError['code']>().type.toBe<'OFFSET_NACKED' | 'OFFSET_UNACKED'>();
    expect<UnsupportedError['code']>().type.toBe<'OFFSET_UNSUPPORTED'>();
  });

  test('carry, all together, every code there is', () => {
    expect<OffsetErrorCode>().type.toBe<
      | InvalidOffsetError['code']
      | SourceNotFoundError['code']
      | OffsetIoError['code']
      | OffsetSerializationError['code']
      | OffsetLockError['code']
      | FencedError['code']
      | ClosedError['code']
      | DeliveryError['code']
      | UnsupportedError['code']
    >();
    expect<OffsetError['code']>().type.toBe<OffsetErrorCode>();
  });

  test('are errors that may name a source and a cause', () => {
    expect<OffsetError>().type.toBeAssignableTo<Error>();
    expect<FencedError>().type.toBeAssignableTo<OffsetError>();
    expect<OffsetError['source']>().type.toBe<string | undefined>();
    expect<OffsetError['cause']>().type.toBe<unknown>();
  });

  test('are found out by instanceof and by code', () => {
    const error: unknown = undefined;
    if (error instanceof OffsetError) {
      expect(error.code).type.toBe<OffsetErrorCode>();
      // @ts-expect-error This comparison appears to be unintentional because the types
      void (error.code === 'OFFSET_FENCE');
    }
    if (error instanceof InvalidOffsetError && error.code !== 'OFFSET_INVALID') {
      expect(error.code).type.toBe<'OFFSET_BEHIND'>();
    }
  });

  test('take only codes of their class', () => {
    expect(OffsetIoError).type.toBeConstructableWith('…', { code: 'OFFSET_DURABILITY_UNKNOWN' });
    expect(OffsetIoError).type.not.toBeConstructableWith('…', { code: 'OFFSET_FENCED' });
    expect(OffsetError).type.not.toBeConstructableWith('…', {});
    expect(OffsetError).type.not.toBeConstructableWith('…', { code: 'MINE' });
  });
});
