/** What testOffsetStore() is told of a store that can do everything. */
export const EVERY_CAPABILITY = {
  commitMany: true,
  inspect: true,
  inspectAll: true,
  epoch: true,
  reset: true,
  claim: true,
  close: true,
} as const;
