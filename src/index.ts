/** flashtable: an embedded multimap of fixed-width records that a flash device only sees as sequential, full-page writes. */
export { FlashTable } from './flash-table.js'
export type {
  BatchOperation,
  CompactOptions,
  OpenOptions,
  RangeOptions,
  ReadOptions,
  WriteOptions,
} from './flash-table.js'
export { Snapshot } from './snapshot.js'
export { bytes, fixed, struct } from './encoding/encodings.js'
export type {
  ColumnsIn,
  ColumnsOut,
  FieldEncoding,
  KeyEncoding,
  KeyIn,
  KeyOut,
  KeysIn,
  StructEncoding,
  StructFields,
  ValueColumnsOut,
  ValueEncoding,
  ValueIn,
  ValueOut,
  ViewEncoding,
  WhereIn,
} from './encoding/types.js'
export { FlashTableError } from './errors.js'
export type { FlashTableErrorCode, MisuseErrorCode } from './errors.js'
export type { Duplicates, TableOptions } from './options.js'
export type { FileStats, TableStats } from './stats.js'
