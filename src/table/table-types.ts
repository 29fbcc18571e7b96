/** The options and results of the methods of `FlashTable`. docs/api.md. */
export type { CompactOptions } from '../compaction/compactor.js'
import type {
  ColumnsOut,
  Combine,
  EncodingOptions,
  KeyEncoding,
  ValueColumnsOut,
  ValueEncoding,
  ValueIn,
} from '../encoding/types.js'
import type { KeptPeriods } from '../options/kept-periods.js'
import type { Duplicates, LoadOptions, TableOptions } from '../options/options.js'
import type { RemoteOptions } from '../options/remote-options.js'
import type { Snapshot } from '../state/snapshot.js'
import type { ObjectStore } from '../store/object-store.js'

/** Options of a write. */
export interface WriteOptions {
  /** Resolve when the data are on the device and survive a power cut. Default: false. */
  readonly sync?: boolean | undefined
}

/** Options of `putColumns`. */
export interface PutColumnsOptions extends WriteOptions {
  /** Put only the rows whose keys have no record yet; of rows with one key the first. Default: false. */
  readonly ifAbsent?: boolean | undefined
}

/** Options of a read. */
export interface ReadOptions {
  /** Read this state instead of the newest. */
  readonly snapshot?: Snapshot | undefined
}

/** Options of `getAll` and `getAllSync`. */
export interface GetAllOptions extends ReadOptions {
  /** The most records; -1 or `Infinity` for no limit. Default: no limit. */
  readonly limit?: number | undefined
  /** Records that are passed over first. Default: 0. */
  readonly offset?: number | undefined
  /** From the newest record to the oldest. Default: false. */
  readonly reverse?: boolean | undefined
}

/** Options of a scan; keys are ordered as unsigned big-endian numbers, records of a key by insertion. */
export interface RangeOptions<K, Where = Readonly<Record<string, unknown>>> extends ReadOptions {
  readonly gt?: K | undefined
  readonly gte?: K | undefined
  readonly lt?: K | undefined
  readonly lte?: K | undefined
  /** Keys whose bytes begin so, instead of bounds; of `bytes(n)` and `fixed` keys. */
  readonly prefix?: Uint8Array | undefined
  /** Only records whose fields have these values, or compare so with one or two, as for `delWhere`. */
  readonly where?: Where | undefined
  /** Scans in the exact reverse order. Default: false. */
  readonly reverse?: boolean | undefined
  /** The most records (for `keys`: keys); -1 or `Infinity` for no limit. Default: no limit. */
  readonly limit?: number | undefined
  readonly signal?: AbortSignal | undefined
}

/** Options of `firstSync` and `lastSync`. */
export type FirstSyncOptions<K> = Omit<RangeOptions<K>, 'reverse' | 'limit' | 'signal' | 'where'>

/** Options of `refresh`. */
export interface RefreshOptions {
  /** Of a published table: the number of a version that was published before the call. */
  readonly atLeast?: number | undefined
  /** The call rejects with `signal.reason`; the refresh goes on. */
  readonly signal?: AbortSignal | undefined
}

/** Options of `first` and `last`. */
export type FirstOptions<K> = Omit<RangeOptions<K>, 'reverse' | 'limit' | 'where'>

/** Options of `count` of a range. */
export type CountOptions<K, Where = Readonly<Record<string, unknown>>> = Omit<
  RangeOptions<K, Where>,
  'reverse' | 'limit'
>

/** Options of `clear`: the range of keys, and those of a write. Without a bound everything is cleared. */
export type ClearOptions<K> = Omit<RangeOptions<K>, 'reverse' | 'limit' | 'where' | 'signal' | 'snapshot'> &
  WriteOptions

/** One operation of a batch. */
export type BatchOperation<K, V> =
  | { readonly type: 'put' | 'putIfAbsent'; readonly key: K; readonly value?: V | undefined }
  | { readonly type: 'del'; readonly key: K }
  | { readonly type: 'delRecord'; readonly key: K; readonly value?: V | undefined }

/** What `getColumns` returns: which key each row answers, and one column for each field. */
export type HitColumns<V extends ValueEncoding> = { query: Uint32Array<ArrayBuffer> } & ValueColumnsOut<V>

/** The same with the key of each row, for `within`. */
export type NearColumns<K extends KeyEncoding, V extends ValueEncoding> = {
  query: Uint32Array<ArrayBuffer>
} & ColumnsOut<K, V>

/** Of an `open` that names no encodings: they are those of the table. */
export interface NoEncodings {
  readonly keyEncoding?: undefined
  readonly valueEncoding?: undefined
}

/** Options of `open` for a table that is kept in an object store, too. */
export interface StoreOpenOptions {
  /**
   * Where the table is published, and kept a few seconds behind, as by `replicate`. A table that is only there is restored first.
   * Default: nowhere.
   */
  readonly remote?: ObjectStore | undefined
  /** Go on with what another writer has published, which can publish no more. Default: false. */
  readonly takeOver?: boolean | undefined
  /** How often what is new is published, as for `replicate`. Default: 10 seconds. */
  readonly interval?: number | string | undefined
  /** How long older versions can be restored, as for `publish`. Default: as at the last publish, at first an hour. */
  readonly retention?: number | string | undefined
  /** Of which hours, days and weeks the last versions stay, as for `publish`. */
  readonly keep?: KeptPeriods | undefined
}

/** What `open` takes: encodings and options. */
export type OpenOptions<K extends KeyEncoding, V extends ValueEncoding> = LocalOpenOptions<K, V> &
  StoreOpenOptions

/** The same without a store. */
type LocalOpenOptions<K extends KeyEncoding, V extends ValueEncoding> = EncodingOptions<K, V> &
  TableOptions & {
    /**
     * Stored at creation, instead of `duplicates`: an operator for each field of the value. The records of a key become
     * one. Default: none, or what the table was created with.
     */
    readonly combine?: Combine<V> | undefined
  }

/** What `openRemote` takes: encodings, which a custom one needs, and options. */
export type RemoteOpenOptions<K extends KeyEncoding, V extends ValueEncoding> = EncodingOptions<K, V> &
  RemoteOptions & {
    readonly duplicates?: Duplicates | undefined
    readonly combine?: Combine<V> | undefined
    readonly pageBytes?: number | undefined
  }

/** What `bulkLoad` takes: those of `open`, and its own. */
export type BulkLoadOptions<K extends KeyEncoding, V extends ValueEncoding> = LocalOpenOptions<K, V> &
  LoadOptions

/** The value argument, which a set does not have. */
export type ValueArguments<V extends ValueEncoding, Options> = [V] extends [undefined]
  ? [value?: undefined, options?: Options]
  : [value: ValueIn<V>, options?: Options]
