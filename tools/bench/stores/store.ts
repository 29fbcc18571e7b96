/** What the peers are asked to do: the same records, the same durability if they have it. */
import type { Records } from '../records.js'

/** A record as a store gives it back. */
export interface Found {
  readonly time: number
  readonly flags: number
  readonly id: number
}

/** An open store. */
export interface Store {
  readonly version: string
  /** Adds records; they are on the device when it resolves, if the store can do that. */
  load(records: Records): void | Promise<void>
  /** Adds one record; when it resolves, it survives the end of the process, if the store can do that. */
  put(key: bigint, record: Found): void | Promise<void>
  /** A record of the key, or `undefined`. */
  get(key: bigint): Found | undefined | Promise<Found | undefined>
  /** Reads all records in key order and returns how many there are. */
  scan(): number | Promise<number>
  /** Brings all records into the order in which lookups find them fastest, if the store has such an act. */
  compact?(): Promise<void>
  /** Gives `taker` the records of the keys [from, below), in key order, in the form that they have. */
  range?(way: RangeWay, from: bigint, below: bigint, taker: RangeTaker): void | Promise<void>
  /** The record of the greatest of the keys [from, below). */
  newest?(way: NewestWay, from: bigint, below: bigint): Found | undefined | Promise<Found | undefined>
  /** Bytes written to the log in the life of the store, if it tells. */
  logBytes?(): Promise<number>
  close(): void | Promise<void>
}

/** The ways in which flashtable reads a range; a peer has one. */
export type RangeWay = 'entries' | 'columns'
/** The ways in which flashtable finds the record of the greatest key; a peer has one. */
export type NewestWay = 'entries' | 'last' | 'lastSync'

/** What is done with the records of a range. */
export interface RangeTaker {
  row(key: bigint, id: number): void
  columns(key: BigUint64Array, id: Int32Array): void
}

const KEY_BYTES = 8

/** A key as bytes that sort like it, new ones unless some are given. */
export function keyBytes(key: bigint, bytes: Buffer = Buffer.allocUnsafe(KEY_BYTES)): Buffer {
  bytes.writeBigUInt64BE(key)
  return bytes
}

/** The 8 bytes of a value. */
export function valueBytes(time: number, id: number): Buffer {
  const bytes = Buffer.allocUnsafe(8)
  bytes.writeUInt16LE(time, 0)
  bytes.writeUInt16LE(0, 2)
  bytes.writeInt32LE(id, 4)
  return bytes
}

export function parseValue(bytes: Buffer | undefined): Found | undefined {
  if (bytes === undefined) return undefined
  return { time: bytes.readUInt16LE(0), flags: bytes.readUInt16LE(2), id: bytes.readInt32LE(4) }
}
