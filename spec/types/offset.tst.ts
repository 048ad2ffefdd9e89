import { describe, expect, test } from 'tstyche';
import {
  CommitStrategy,
  type CustomOffset,
  type EarliestOffset,
  type LatestOffset,
  Offset,
  type OffsetInput,
  type OffsetResetPolicy,
  type SequenceOffset,
  type TimestampOffset,
} from 'streamweave-offset';

declare const offset: Offset;

describe('Offset', () => {
  test('is told apart by its kind', () => {
    switch (offset.kind) {
      case 'sequence':
        expect(offset).type.toBe<SequenceOffset>();
        expect(offset.value).type.toBe<bigint>();
        break;
      case 'timestamp':
        expect(offset).type.toBe<TimestampOffset>();
        expect(offset.value).type.toBe<Date>();
        break;
      case 'custom':
        expect(offset).type.toBe<CustomOffset>();
        expect(offset.value).type.toBe<string>();
        break;
      case 'earliest':
        expect(offset).type.toBe<EarliestOffset>();
        break;
      case 'latest':
        expect(offset).type.toBe<LatestOffset>();
        break;
      default:
        expect(offset).type.toBe<never>();
    }
  });

  test('has no value to read before its kind is known', () => {
    // @ts-expect-error Property 'value' does not exist on type 'EarliestOffset'
    void offset.value;
    if (!Offset.isEarliest(offset) && !Offset.isLatest(offset)) {
      expect(offset).type.toBe<SequenceOffset | TimestampOffset | CustomOffset>();
    }
  });

  test('cannot be changed', () => {
    const sequence = Offset.sequence(1);
    // @ts-expect-error Cannot assign to 'value' because it is a read-only property
    sequence.value = 2n;
    // @ts-expect-error Cannot assign to 'sequence' because it is a read-only property
    Offset.sequence = () => sequence;
  });

  test('is made of what its kind is made of', () => {
    expect(Offset.sequence(1)).type.toBe<SequenceOffset>();
    expect(Offset.sequence(1n)).type.toBe<SequenceOffset>();
    expect(Offset.timestamp(new Date(0))).type.toBe<TimestampOffset>();
    expect(Offset.custom('cursor')).type.toBe<CustomOffset>();
    expect(Offset.earliest).type.toBe<EarliestOffset>();
    expect(Offset.latest).type.toBe<LatestOffset>();
    expect(Offset.parse('seq:1')).type.toBe<Offset>();
    expect(Offset.format).type.toBe<(offset: Offset) => string>();
    expect(Offset.sequence).type.not.toBeCallableWith('1');
    expect(Offset.timestamp).type.not.toBeCallableWith(0);
    expect(Offset.custom).type.not.toBeCallableWith(1);
    expect(Offset.format).type.not.toBeCallableWith(1n);
  });

  test('is taken in every form, and in no other', () => {
    expect(Offset.from).type.toBe<(input: OffsetInput) => Offset>();
    expect<OffsetInput>().type.toBe<Offset | bigint | number | Date | string>();
    expect<OffsetInput>().type.not.toBeAssignableFrom<boolean>();
    expect<OffsetInput>().type.not.toBeAssignableFrom<undefined>();
    expect<OffsetInput>().type.not.toBeAssignableFrom<Promise<bigint>>();
    expect<Offset>().type.not.toBeAssignableFrom<{ kind: 'sequence'; value: number }>();
    expect<Offset>().type.not.toBeAssignableFrom<{ kind: 'newest' }>();
  });

  test('has a next one where it is a sequence', () => {
    expect(Offset.increment(Offset.sequence(1))).type.toBe<SequenceOffset>();
    expect(Offset.increment(offset)).type.toBe<SequenceOffset | undefined>();
  });

  test('compares to a number, or has no order', () => {
    expect(Offset.compare(offset, offset)).type.toBe<number | undefined>();
    expect(Offset.equals(offset, offset)).type.toBe<boolean>();
  });
});

describe('CommitStrategy', () => {
  test('is told apart by its kind', () => {
    expect(CommitStrategy.auto).type.toBe<CommitStrategy>();
    const strategy = CommitStrategy.periodic(100);
    if (strategy.kind === 'periodic') {
      expect(strategy.n).type.toBe<number>();
      expect(strategy.maxDelayMs).type.toBe<number | undefined>();
    }
    if (strategy.kind === 'interval') expect(strategy.ms).type.toBe<number>();
    expect<CommitStrategy['kind']>().type.toBe<'auto' | 'periodic' | 'interval' | 'eager' | 'manual'>();
  });

  test('is no number, name or switch', () => {
    expect<CommitStrategy>().type.not.toBeAssignableFrom<number>();
    expect<CommitStrategy>().type.not.toBeAssignableFrom<'auto'>();
    expect<CommitStrategy>().type.not.toBeAssignableFrom<true>();
    expect<CommitStrategy>().type.not.toBeAssignableFrom<typeof CommitStrategy.periodic>();
  });

  test('is made with numbers', () => {
    expect(CommitStrategy.periodic).type.toBeCallableWith(100);
    expect(CommitStrategy.periodic).type.toBeCallableWith(100, { maxDelayMs: 500 });
    expect(CommitStrategy.periodic).type.not.toBeCallableWith();
    expect(CommitStrategy.periodic).type.not.toBeCallableWith(100, 500);
    expect(CommitStrategy.periodic).type.not.toBeCallableWith(100, { maxDelay: 500 });
    expect(CommitStrategy.interval).type.toBeCallableWith(100);
    expect(CommitStrategy.interval).type.not.toBeCallableWith('100');
  });
});

test('OffsetResetPolicy is one of three words', () => {
  expect<OffsetResetPolicy>().type.toBe<'earliest' | 'latest' | 'none'>();
});
