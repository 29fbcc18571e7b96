/** What the manifest knows about a bucket file: enough to find it, to check it and to plan merges. */
import { Buffer } from 'node:buffer'
export interface BucketFileEntry {
  /**
   * The id of the table that wrote the file, 32 hexadecimal digits; absent: the one that has it. A checkpoint shares
   * files.
   */
  readonly tableId?: string
  readonly number: number
  /** The epoch of the writer that made it; part of its checksums. */
  readonly epoch: number
  readonly level: number
  /** File size in pages. */
  readonly pages: number
  /** Puts in it. */
  readonly records: number
  readonly firstSequence: number
  readonly endSequence: number
}

/** The id of the table that wrote the file: part of its checksums. `own`: the id of the table that has it. */
export function writerOf({ tableId }: BucketFileEntry, own: Uint8Array): Uint8Array {
  return tableId === undefined ? own : tableIdBytes(tableId)
}

/** A table id as 32 hexadecimal digits. */
export function tableIdText(tableId: Uint8Array): string {
  return Buffer.from(tableId).toString('hex')
}

/** A table id of 32 hexadecimal digits as bytes. */
export function tableIdBytes(tableId: string): Uint8Array {
  return Uint8Array.from(Buffer.from(tableId, 'hex'))
}
