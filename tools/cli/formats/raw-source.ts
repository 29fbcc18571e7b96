/**
 * Reads a file of packed records: memory does not depend on the size of the file.
 *
 * Two formats: `records` is one record after another; `memmap` is the hash table that programs map into memory with
 * numpy: buckets of slots, each a record. Slot 0 of a bucket is its head, never a record, whatever its flags hold;
 * other slots with `flags & 1` are in use. README.md, Import.
 */
import type { RecordSchema } from '../schema.js'
import type { Shape } from '../shape.js'
import type { FileBatch, RecordSource } from './columns.js'
import { isOnDisk, type InputFile } from './input-file.js'
import { unpackRecords } from './packed.js'
import { WrongFileError } from './wrong-file.js'

/** Bytes that are read at once. */
const PIECE_BYTES = 1024 * 1024

/** Where the records are in the file. */
export interface RawLayout {
  readonly schema: RecordSchema
  /** Of a memory-mapped table, which has a field `flags`; without it the file holds plain records. */
  readonly shape?: Shape | undefined
  /** Bytes before the first record. */
  readonly start?: number | undefined
}

export class RawSource implements RecordSource {
  readonly #file: InputFile
  readonly #layout: RawLayout

  /** Throws a {@link WrongFileError} if the size of the file does not fit. */
  constructor(file: InputFile, layout: RawLayout) {
    if (isOnDisk(file)) checkSize(file.path, file.bytes - startOf(layout), layout)
    this.#file = file
    this.#layout = layout
  }

  get path(): string {
    return this.#file.path
  }

  get bytes(): number | undefined {
    return this.#file.bytes
  }

  get fields(): RecordSchema['fields'] {
    return this.#layout.schema.fields
  }

  async *batches(_names: readonly string[], pieceBytes = PIECE_BYTES): AsyncGenerator<FileBatch> {
    const { schema } = this.#layout
    const { recordBytes } = schema
    const whole = Math.max(1, Math.floor(pieceBytes / recordBytes)) * recordBytes
    let bytesRead = startOf(this.#layout)
    let slots = 0
    let records = 0
    for await (const piece of this.#file.pieces(whole, bytesRead)) {
      bytesRead += piece.byteLength
      const found = Math.floor(piece.byteLength / recordBytes)
      if (found * recordBytes < piece.byteLength)
        checkSize(this.path, bytesRead - startOf(this.#layout), this.#layout)
      const rows = this.#usedFirst(piece, found, slots)
      const first = records
      slots += found
      records += rows
      yield {
        columns: unpackRecords(piece, rows, schema),
        rows,
        bytesRead,
        place: row => `record ${first + row}`,
      }
    }
    checkSize(this.path, slots * recordBytes, this.#layout)
  }

  close(): Promise<void> {
    return this.#file.close()
  }

  /** Moves the slots in use to the front, and counts them; `firstSlot` is the number of the first one in the file. */
  #usedFirst(piece: Buffer<ArrayBuffer>, found: number, firstSlot: number): number {
    const { shape, schema } = this.#layout
    if (shape === undefined) return found
    const { recordBytes, fields } = schema
    const flags = fields.find(field => field.name === 'flags')!
    // Bit 0 is in the lowest byte, whatever the width of the field.
    const flagsOffset = flags.offset + (flags.bigEndian === true ? flags.byteLength - 1 : 0)
    let used = 0
    for (let slot = 0, at = 0; slot < found; slot++, at += recordBytes) {
      const isHead = (firstSlot + slot) % shape.slots === 0
      if (!isHead && (piece[at + flagsOffset]! & 1) === 1)
        piece.copyWithin(recordBytes * used++, at, at + recordBytes)
    }
    return used
  }
}

function startOf({ start }: RawLayout): number {
  return start ?? 0
}

function checkSize(
  path: string,
  found: number,
  { schema: { recordBytes }, shape, start = 0 }: RawLayout,
): void {
  const after = start === 0 ? '' : ` after the first ${start}`
  if (found < 0) throw new WrongFileError(`${path} does not fit: it has no ${start} bytes to pass over`)
  if (shape === undefined) {
    if (found % recordBytes === 0) return
    throw new WrongFileError(
      `${path} does not fit: expected a multiple of ${recordBytes} bytes (one record), found ${found} bytes${after}`,
    )
  }
  const { buckets, slots } = shape
  const expected = buckets * slots * recordBytes
  if (found === expected) return
  throw new WrongFileError(
    `${path} does not fit: expected ${expected} bytes ` +
      `(${buckets} buckets of ${slots} slots of ${recordBytes} bytes), found ${found} bytes${after}`,
  )
}
