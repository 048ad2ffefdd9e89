import { describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import { Offset } from '../../../lib/offset.js';
import { decodeCrate } from '../../../lib/stores/file/crate.js';

const written = new Date(1234);

function offsetsOf(text: string): Record<string, string> {
  return Object.fromEntries(
    Array.from(decodeCrate(Buffer.from(text), written), ([source, state]) => {
      if (state.offset === undefined) throw new Error('Expected an offset');
      return [source, Offset.format(state.offset)];
    }),
  );
}

describe("the Rust crate's file", () => {
  it('is read, whatever the kind of offset', () => {
    expect(
      offsetsOf(
        '{"orders":{"Sequence":100},"x":"Earliest","y":"Latest","z":{"Custom":"line-5"},' +
          '"t":{"Timestamp":"2024-01-02T03:04:05Z"}}',
      ),
    ).toEqual({
      orders: 'seq:100',
      x: 'earliest',
      y: 'latest',
      z: 'custom:line-5',
      t: 'ts:2024-01-02T03:04:05.000Z',
    });
  });

  it('is read as the crate formats it, with spaces and escapes', () => {
    expect(offsetsOf('{\n  "a\\u0062\\n": {\n    "Sequence": 1\n  },\n  "c": "Latest"\n}')).toEqual({
      'ab\n': 'seq:1',
      c: 'latest',
    });
  });

  it('keeps every digit of a sequence', () => {
    fc.assert(
      fc.property(fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }), (n) => {
        expect(offsetsOf(`{"a":{"Sequence":${n}}}`)).toEqual({ a: `seq:${n}` });
      }),
    );
    expect(offsetsOf('{"a":{"Sequence":18446744073709551615}}')).toEqual({ a: 'seq:18446744073709551615' });
    expect(offsetsOf('{"a":{"Sequence":9007199254740993}}')).toEqual({ a: 'seq:9007199254740993' });
  });

  it('says that its sources are at epoch 0, committed when the file was written', () => {
    expect(decodeCrate(Buffer.from('{"a":"Latest"}'), written)).toEqual(
      new Map([['a', { offset: Offset.latest, epoch: 0, committedAt: written }]]),
    );
  });

  it('may have hostile names', () => {
    expect(
      Array.from(
        decodeCrate(Buffer.from('{"__proto__":{"Sequence":1},"constructor":"Latest"}'), written).keys(),
      ),
    ).toEqual(['__proto__', 'constructor']);
  });

  it.each([
    ['2024-01-02T03:04:05.123456789Z', '2024-01-02T03:04:05.123Z'],
    ['2024-01-02T03:04:05.1239Z', '2024-01-02T03:04:05.123Z'],
    ['2024-01-02T03:04:05.9Z', '2024-01-02T03:04:05.900Z'],
    ['1969-12-31T23:59:59.999999999Z', '1969-12-31T23:59:59.999Z'],
    ['2024-01-02T03:04:05+01:30', '2024-01-02T01:34:05.000Z'],
    ['2024-01-02T03:04:05.5-01:00', '2024-01-02T04:04:05.500Z'],
    ['2024-01-02t03:04:05z', '2024-01-02T03:04:05.000Z'],
    ['2024-01-02T03:04:05+23:59', '2024-01-01T03:05:05.000Z'],
    ['2024-01-02T03:04:05-23:59', '2024-01-03T03:03:05.000Z'],
    ['2016-12-31T23:59:60Z', '2016-12-31T23:59:59.999Z'],
  ])('has a timestamp %s, which is cut to %s', (text, expected) => {
    expect(offsetsOf(`{"a":{"Timestamp":"${text}"}}`)).toEqual({ a: `ts:${expected}` });
  });

  it.each([
    '',
    '{}',
    '[]',
    'null',
    '{"a":{"Sequence":-1}}',
    '{"a":{"Sequence":1.0}}',
    '{"a":{"Sequence":1e3}}',
    '{"a":{"Sequence":01}}',
    '{"a":{"Sequence":"1"}}',
    '{"a":{"Sequence":18446744073709551616}}',
    '{"a":{"Sequence":1,"Custom":"x"}}',
    '{"a":{"sequence":1}}',
    '{"a":"earliest"}',
    '{"a":null}',
    '{"a":{}}',
    '{"a":1}',
    '{"a":{"Custom":1}}',
    '{"a":{"Custom":"\\ud800"}}',
    '{"a":{"Timestamp":"2024-02-30T00:00:00Z"}}',
    '{"a":{"Timestamp":"2024-01-01"}}',
    '{"a":{"Timestamp":"2024-01-01T00:00:00"}}',
    '{"a":{"Timestamp":"2024-01-01T24:00:00Z"}}',
    '{"a":{"Timestamp":1700000000}}',
    '{"a":"Latest","a":"Latest"}',
    '{"a":"Latest","\\u0061":"Latest"}',
    '{"":"Latest"}',
    '{"\\u0000":"Latest"}',
    '{"a":"Latest",}',
    '{"a":"Latest"',
    '{"a":"Latest"}}',
    '{"a":"Latest"} x',
    '{"a":"Latest"}\0',
    "{'a':'Latest'}",
    '{"a\n":"Latest"}',
    '\ufeff{"a":"Latest"}',
    `{"${'x'.repeat(1025)}":"Latest"}`,
  ])('is not %j', (text) => {
    expect(() => decodeCrate(Buffer.from(text), written)).toThrow();
  });

  it.each([
    '2024-02-30T00:00:00Z',
    '2024-01-01T00:00:00',
    '2024-01-01T00:00:00+24:00',
    '2024-01-01T00:00:00-24:00',
    '2024-01-01T00:00:00+00:60',
    '2024-01-01T00:00:00+23:60',
    '2024-01-01T00:00:00+1:00',
    ' 2024-01-01T00:00:00Z',
    '2024-01-01T00:00:00Z ',
    '2024-01-01T00:00:00.Z',
    '2024-01-01T00:00:00.1234567890Z',
    '12024-01-01T00:00:00Z',
    '',
  ])('takes %j for no moment', (text) => {
    expect(() => offsetsOf(`{"a":{"Timestamp":"${text}"}}`)).toThrow(
      `expected an RFC 3339 timestamp, got ${JSON.stringify(text)}`,
    );
  });

  it.each([
    ['{"a":{"Sequence":x}}', 'expected an integer at character 17'],
    ['{"a":"Earliest"} {', 'expected the end at character 17'],
    ['{"a":{"Other":1}}', 'expected an offset at character 14'],
    ['{"a":"Other"}', 'expected an offset at character 12'],
    ['{"a":{"Custom":1}}', 'expected a string at character 15'],
    ['{"a" "Latest"}', 'expected ":" at character 5'],
    ['{"a":"Latest","a":"Latest"}', 'source "a" stands there twice'],
  ])('says of %s what it %s', (text, message) => {
    expect(() => offsetsOf(text)).toThrow(new Error(message));
  });

  it('is not what is no UTF-8', () => {
    expect(() => decodeCrate(Buffer.from([0x7b, 0x22, 0xff, 0x22]), written)).toThrow('UTF-8');
  });

  it('is not what was cut, at any length', () => {
    const text = '{"orders":{"Sequence":100},"x":"Earliest","t":{"Timestamp":"2024-01-02T03:04:05Z"}}';
    for (let length = 0; length < text.length; length++) {
      expect(() => decodeCrate(Buffer.from(text.slice(0, length)), written)).toThrow();
    }
  });
});
