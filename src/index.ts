/** flashtable: an embedded multimap of fixed-width records that a flash device only sees as sequential, full-page writes. */
export { FlashTable } from './flash-table.js'
export { PartitionedTable } from './partitioned-table.js'
export type {
  PartColumns,
  PartitionedOpenOptions,
  PartitionedRangeOptions,
  PartitionedReadOptions,
  PartitionedRefreshOptions,
} from './partitioned-table.js'
export type { PartitionedOptions } from './partitions/open-options.js'
export { PartitionedSnapshot } from './partitions/partitioned-snapshot.js'
export type { PartitionedStats, PartitionStats } from './partitions/partitioned-stats.js'
export type {
  PartitionedPublishOptions,
  PartitionedPublishResult,
  PartitionedReplicateOptions,
} from './partitions/partitioned-writes.js'
export type { PartitionedReplica, PartitionedReplicaStatus } from './partitions/partitioned-replica.js'
export { directoryStore } from './store/directory.js'
export { collectGarbage, probeStore, publishedTable, verifyPublished } from './table/published.js'
export { repairTable, verifyTable } from './offline/index.js'
export { projectedLifeDays } from './event-log/wear.js'
export type { Wear, WrittenSpan } from './event-log/wear.js'
export { readEventLog } from './event-log/read-event-log.js'
export type { EventName, LoggedEvent, WrittenBytes } from './event-log/event.js'
export type {
  Loss,
  Problem,
  RepairOptions,
  RepairResult,
  Verification,
  VerifyOptions,
} from './offline/index.js'
export type {
  BatchOperation,
  BulkLoadOptions,
  CompactOptions,
  CountOptions,
  ClearOptions,
  FirstOptions,
  GetAllOptions,
  FirstSyncOptions,
  HitColumns,
  NearColumns,
  OpenOptions,
  PutColumnsOptions,
  RangeOptions,
  ReadOptions,
  StoreOpenOptions,
  RefreshOptions,
  RemoteOpenOptions,
  WriteOptions,
} from './table/table-types.js'
export { Snapshot } from './state/snapshot.js'
export { bytes, encodings, fixed, struct } from './encoding/encodings.js'
export type { LevelEncodingName } from './encoding/encodings.js'
export type {
  ColumnsIn,
  ColumnsOut,
  Combine,
  Comparison,
  EncodingOptions,
  FieldEncoding,
  KeyColumn,
  KeyEncoding,
  KeyIn,
  KeyOut,
  KeysIn,
  ScalarEncoding,
  SizedEncoding,
  StructEncoding,
  StructFields,
  ValueColumnsOut,
  ValueEncoding,
  ValueIn,
  ValueOut,
  ViewEncoding,
  WhereIn,
} from './encoding/types.js'
export { FlashTableError } from './base/errors.js'
export type { FlashTableErrorCode, MisuseErrorCode } from './base/errors.js'
export type { ColumnSource } from './bulk-load/bulk-load.js'
export type { JsonObject, JsonValue } from './manifest/meta.js'
export type {
  CombineFields,
  CombineOperator,
  CombineOption,
  Duplicates,
  LoadOptions,
  TableOptions,
} from './options/options.js'
export type { KeptPeriods } from './options/kept-periods.js'
export type { RemoteOptions } from './options/remote-options.js'
export type { RemoteStats } from './table/remote-reader.js'
export type { DiskCacheStats } from './block-cache/object-reader.js'
export type { PublishOptions } from './table/publish.js'
export type { PublishResult } from './remote/publisher.js'
export type { Replica, ReplicaStatus } from './replica/replica.js'
export type { ReplicateOptions } from './table/replicate.js'
export type {
  CollectedGarbage,
  GarbageOptions,
  PublishedProblem,
  PublishedTable,
  PublishedVerification,
  PublishedVersion,
  StoreOptions,
  VerifyPublishedOptions,
} from './table/published.js'
export type { RestoreOptions, RestoreResult } from './table/restore.js'
export type {
  ByteRange,
  ObjectInfo,
  ObjectSource,
  ObjectStore,
  PointerContent,
  StoreCall,
  UploadChoice,
} from './store/object-store.js'
export type { TableStatus } from './table/describe.js'
export type { DurationStats, LatencyStats } from './base/latency.js'
export type { FileStats, TableStats } from './table/stats.js'
export type { StoredField, StoredFieldType, StoredSchema, StoredValue } from './encoding/stored-schema.js'

/**
 * The global types that the public ones name, as far as they are needed, so that the package compiles for users who
 * have neither `@types/node` nor the DOM among their types. If they have them, these parts are declared there, too.
 */
declare global {
  interface AbortSignal {
    readonly aborted: boolean
  }
  interface URL {
    href: string
  }
  interface SymbolConstructor {
    readonly asyncDispose: unique symbol
  }
}
