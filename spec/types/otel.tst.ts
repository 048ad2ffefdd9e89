import type { Attributes, Meter } from '@opentelemetry/api';
import { MeterProvider } from '@opentelemetry/sdk-metrics';
import { expect, test } from 'tstyche';
import type { OffsetTracker } from 'streamweave-offset';
import { observeTracker, type ObserveTrackerOptions } from 'streamweave-offset/otel';

declare const tracker: OffsetTracker;
const meter = new MeterProvider().getMeter('spec');

test('observeTracker() takes a meter of the SDK, and gives what ends it', () => {
  expect(observeTracker(tracker, { meter })).type.toBe<() => void>();
  expect(observeTracker).type.toBeCallableWith(tracker, {
    meter,
    attributes: { pipeline: 'orders' },
    perSource: true,
  });
  expect(observeTracker).type.not.toBeCallableWith(tracker);
  expect(observeTracker).type.not.toBeCallableWith(tracker, {});
  expect(observeTracker).type.not.toBeCallableWith(tracker, meter);
  expect(observeTracker).type.not.toBeCallableWith(tracker, { meter, perSource: 'orders' });
  expect(observeTracker).type.not.toBeCallableWith(tracker, { meter, attributes: { when: new Date() } });
  expect<ObserveTrackerOptions['meter']>().type.toBe<Meter>();
  expect<ObserveTrackerOptions['attributes']>().type.toBe<Attributes | undefined>();
});
