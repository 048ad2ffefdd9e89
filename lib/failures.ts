/** The words for what failed, alike wherever commits are made. */
import { received } from './validate.js';

/** What an error says; one of another realm is no instance of our Error, and a store may reject with anything. */
export function messageOf(error: unknown): string {
  if (typeof error === 'string') return error;
  const message = (error as { message?: unknown } | null | undefined)?.message;
  return typeof message === 'string' ? message : received(error);
}

/** The first ten, and how many more there are. */
export function listed(names: readonly string[]): string {
  const shown = names.slice(0, 10).join(', ');
  return names.length > 10 ? `${shown} and ${names.length - 10} more` : shown || 'nothing';
}

/** One error for the failed commits of several sources. */
export function aggregate(failures: readonly unknown[]): AggregateError {
  return new AggregateError(
    failures,
    `Commits of ${failures.length} sources failed: ${listed(failures.map(messageOf))}`,
  );
}
