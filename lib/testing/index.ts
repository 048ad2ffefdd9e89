export type { StoreCapability, StoreContractOptions, StoreTestFunctions } from './harness.js';
export { testOffsetStore } from './store-contract.js';
