import { argumentTypeError } from './validate.js';

/**
 * Where a source starts when nothing is stored for it: `'earliest'` (the default), `'latest'`, or `'none'`:
 * then `getOffset()` rejects with `SourceNotFoundError`.
 */
export type OffsetResetPolicy = 'earliest' | 'latest' | 'none';

/**
 * @internal
 * @throws TypeError for what is no policy
 */
export function checkedResetPolicy(value: unknown): OffsetResetPolicy {
  if (value === 'earliest' || value === 'latest' || value === 'none') return value;
  throw argumentTypeError("`resetPolicy` to be 'earliest', 'latest' or 'none'", value);
}
