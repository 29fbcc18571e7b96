/**
 * The kernels: hot loops of seals, merges and bulk loads, in AssemblyScript. `npm run build:kernels` makes module.ts of them.
 *
 * Each has a twin in TypeScript, which says what it does and which it equals bit by bit. All memory is the caller's: kernels
 * allocate nothing. They read up to 16 bytes behind what they are given, and may write up to 8 there, which they put back.
 * docs/decisions/kernels.md.
 */
export { addToFilter, hashKeys1, hashKeys2 } from './filter'
export { decodePage } from './page-decoder'
export { bounds, fit, initEncoder, encoderBytes, write } from './page-encoder'
export { gather, sortCounterBytes, sortKeys } from './sort'
export { countBins, splitRows, widenExtremes } from './split'
