import { Offset } from '../../lib/offset.js';
import type { FileOffsetStore } from '../../lib/stores/file/file-store.js';
import { codeOf } from '../../lib/stores/file/io.js';
import { type Ending, NEW_VALUE, type Operation, SOURCE } from './fire-job.js';

/** Does the operation; which of them it is, is a matter of the file that it meets. */
export function operate(store: FileOffsetStore, operation: Operation): Promise<unknown> {
  switch (operation) {
    case 'reset':
      return store.reset(SOURCE, Offset.sequence(NEW_VALUE));
    case 'recover':
      return store.recover();
    default:
      return store.commit(SOURCE, Offset.sequence(NEW_VALUE));
  }
}

/** How the call ended. */
export async function endingOf(call: Promise<unknown>): Promise<Ending> {
  try {
    await call;
    return { ok: true };
  } catch (error) {
    return failureOf(error);
  }
}

/** The ending of a call that failed. */
export function failureOf(error: unknown): Ending {
  if (!(error instanceof Error)) return { ok: false, message: String(error) };
  const { name, message, cause } = error;
  return { ok: false, name, message, code: codeOf(error), cause: codeOf(cause) };
}
