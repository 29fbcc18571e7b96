/** What the peers are asked to do: the same records, the same durability if they have it. */
import type { Records } from '../records.js'

/** A record as a store gives it back. */
export interface Found {
  readonly time: number
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
  close(): void | Promise<void>
}

const KEY_BYTES = 8

/** A key as bytes that sort like it. */
export function keyBytes(key: bigint): Buffer {
  const bytes = Buffer.allocUnsafe(KEY_BYTES)
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
  return bytes === undefined ? undefined : { time: bytes.readUInt16LE(0), id: bytes.readInt32LE(4) }
}
