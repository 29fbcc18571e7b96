/**
 * Reads a file of packed records as columns, in chunks: memory does not depend on the size of the file.
 *
 * Two formats: `records` is one record after another; `memmap` is the hash table that programs map into memory with
 * numpy: buckets of slots, each a record. Slot 0 of a bucket is its head, never a record, whatever its flags hold;
 * other slots with `flags & 1` are in use. README.md, Import.
 */
import type { Stats } from 'node:fs'
import { open, stat, type FileHandle } from 'node:fs/promises'
import type { OwnColumn } from '../../src/encoding/field-type.js'
import type { ScalarName } from '../../src/encoding/stored-schema.js'
import { foreignFormat } from './foreign-file.js'
import type { Field, RecordSchema } from './schema.js'
import type { Shape } from './shape.js'
import { UsageError } from './usage.js'

/** Bytes that are read at once. */
const CHUNK_BYTES = 1024 * 1024

/** A run of records, one typed array for each field. */
export interface RecordChunk {
  readonly columns: { readonly key: OwnColumn; readonly [field: string]: OwnColumn }
  readonly rows: number
  /** Bytes of the file that have been read so far. */
  readonly bytesRead: number
}

/** A file that is not of the format, or that has changed while it was read. */
export class WrongFileError extends Error {
  override readonly name = 'WrongFileError'
  readonly code = 'WRONG_FILE'
}

export class RecordFile {
  readonly path: string
  readonly bytes: number
  readonly #changedMs: number
  readonly #handle: FileHandle
  readonly #schema: RecordSchema
  readonly #shape: Shape | undefined

  private constructor(path: string, info: Stats, handle: FileHandle, schema: RecordSchema, shape?: Shape) {
    this.path = path
    this.bytes = info.size
    this.#changedMs = info.mtimeMs
    this.#handle = handle
    this.#schema = schema
    this.#shape = shape
  }

  /**
   * Opens a file and checks its size. With a `shape` it is a memory-mapped table, without one plain records.
   *
   * Throws a {@link WrongFileError} if the size does not fit, or if the file is recognised as another format: `force`
   * takes it anyway.
   */
  static async open(path: string, schema: RecordSchema, shape?: Shape, force = false): Promise<RecordFile> {
    if (shape !== undefined) checkFlags(schema)
    // Not by its handle: opening a pipe would wait for a writer.
    checkRegular(path, await stat(path))
    const handle = await open(path, 'r')
    try {
      const info = await handle.stat()
      checkRegular(path, info)
      const format = force ? undefined : await foreignFormat(path, handle, info.size)
      if (format !== undefined) {
        throw new WrongFileError(`${path} is ${format}; --force takes its bytes as records anyway`)
      }
      checkSize(path, info.size, schema, shape)
      return new RecordFile(path, info, handle, schema, shape)
    } catch (error) {
      await handle.close()
      throw error
    }
  }

  /** All records, in the order of the file. */
  async *chunks(chunkBytes = CHUNK_BYTES): AsyncGenerator<RecordChunk> {
    const { recordBytes } = this.#schema
    const chunk = Buffer.alloc(Math.max(1, Math.floor(chunkBytes / recordBytes)) * recordBytes)
    for (let position = 0; position < this.bytes;) {
      const length = Math.min(chunk.byteLength, this.bytes - position)
      await this.#read(chunk.subarray(0, length), position)
      const offsets = this.#recordOffsets(chunk.subarray(0, length), position / recordBytes)
      const columns = Object.fromEntries(
        this.#schema.fields.map(field => [field.name, readColumn(chunk, offsets, field)]),
      ) as RecordChunk['columns']
      position += length
      yield { columns, rows: offsets.length, bytesRead: position }
    }
    await this.#checkUnchanged()
  }

  async close(): Promise<void> {
    await this.#handle.close()
  }

  /** If another program writes to the file meanwhile, its parts are from different states. */
  async #checkUnchanged(): Promise<void> {
    const { size, mtimeMs } = await this.#handle.stat()
    if (size === this.bytes && mtimeMs === this.#changedMs) return
    throw new WrongFileError(`${this.path} was written to while it was read; import it when it is complete`)
  }

  async #read(into: Buffer, position: number): Promise<void> {
    for (let done = 0; done < into.byteLength;) {
      const { bytesRead } = await this.#handle.read(into, done, into.byteLength - done, position + done)
      if (bytesRead === 0) throw new WrongFileError(`${this.path} became shorter while it was read`)
      done += bytesRead
    }
  }

  /** Where the records of a chunk begin; `firstSlot` is the number of its first slot in the whole file. */
  #recordOffsets(chunk: Buffer, firstSlot: number): Uint32Array {
    const { recordBytes, fields } = this.#schema
    const slotCount = chunk.byteLength / recordBytes
    const offsets = new Uint32Array(slotCount)
    if (this.#shape === undefined) return offsets.map((_, slot) => slot * recordBytes)
    const { slots } = this.#shape
    // Little-endian: bit 0 is in the first byte, whatever the width of the field.
    const flagsOffset = fields.find(field => field.name === 'flags')!.offset
    let count = 0
    let untilHead = (slots - (firstSlot % slots)) % slots
    for (let slot = 0, offset = 0; slot < slotCount; slot++, offset += recordBytes) {
      if (untilHead === 0) untilHead = slots
      else if ((chunk[offset + flagsOffset]! & 1) === 1) offsets[count++] = offset
      untilHead--
    }
    return offsets.subarray(0, count)
  }
}

function checkRegular(path: string, info: Stats): void {
  if (info.isFile()) return
  const what = info.isDirectory() ? 'a directory' : info.isFIFO() ? 'a pipe' : 'a device or socket'
  throw new WrongFileError(`${path} is not a regular file but ${what}: its size would not be known`)
}

function checkFlags(schema: RecordSchema): void {
  const flags = schema.fields.find(field => field.name === 'flags')
  if (flags === undefined || !/^[ui]/.test(flags.type)) {
    throw new UsageError(
      'a memmap needs an integer field named "flags": its bit 0 tells which slots are in use',
    )
  }
}

function checkSize(path: string, found: number, schema: RecordSchema, shape: Shape | undefined): void {
  const { recordBytes } = schema
  if (shape === undefined) {
    if (found % recordBytes === 0) return
    throw new WrongFileError(
      `${path} does not fit: expected a multiple of ${recordBytes} bytes (one record), found ${found} bytes`,
    )
  }
  const { buckets, slots } = shape
  const expected = buckets * slots * recordBytes
  if (found === expected) return
  throw new WrongFileError(
    `${path} does not fit: expected ${expected} bytes ` +
      `(${buckets} buckets of ${slots} slots of ${recordBytes} bytes), found ${found} bytes`,
  )
}

function readColumn(chunk: Buffer, offsets: Uint32Array, field: Field): OwnColumn {
  if (field.type === 'bytes') return readBytes(chunk, offsets, field)
  const view = new DataView(chunk.buffer, chunk.byteOffset + field.offset)
  return NUMBER_COLUMNS[field.type](view, offsets)
}

function readBytes(chunk: Buffer, offsets: Uint32Array, { offset, byteLength }: Field): OwnColumn {
  const column = new Uint8Array(offsets.length * byteLength)
  for (let row = 0; row < offsets.length; row++) {
    const start = offsets[row]! + offset
    column.set(chunk.subarray(start, start + byteLength), row * byteLength)
  }
  return column
}

/** Floats are read as the integers of the same bits: through a number, the bits of a NaN could change. */
const NUMBER_COLUMNS: Record<ScalarName, (view: DataView, offsets: Uint32Array) => OwnColumn> = {
  u8: (view, offsets) => fill(new Uint8Array(offsets.length), offsets, at => view.getUint8(at)),
  u16: (view, offsets) => fill(new Uint16Array(offsets.length), offsets, at => view.getUint16(at, true)),
  u32: readU32,
  u64: readU64,
  i8: (view, offsets) => fill(new Int8Array(offsets.length), offsets, at => view.getInt8(at)),
  i16: (view, offsets) => fill(new Int16Array(offsets.length), offsets, at => view.getInt16(at, true)),
  i32: (view, offsets) => fill(new Int32Array(offsets.length), offsets, at => view.getInt32(at, true)),
  i64: (view, offsets) => new BigInt64Array(readU64(view, offsets).buffer),
  f32: (view, offsets) => new Float32Array(readU32(view, offsets).buffer),
  f64: (view, offsets) => new Float64Array(readU64(view, offsets).buffer),
}

function readU32(view: DataView, offsets: Uint32Array): Uint32Array<ArrayBuffer> {
  return fill(new Uint32Array(offsets.length), offsets, at => view.getUint32(at, true))
}

function readU64(view: DataView, offsets: Uint32Array): BigUint64Array<ArrayBuffer> {
  return fill(new BigUint64Array(offsets.length), offsets, at => view.getBigUint64(at, true))
}

/** A plain loop: `from(offsets, read)` of typed arrays takes ten times as long. */
function fill<Value, Filled extends Record<number, Value>>(
  column: Filled,
  offsets: Uint32Array,
  read: (at: number) => Value,
): Filled {
  for (let row = 0; row < offsets.length; row++) (column as Record<number, Value>)[row] = read(offsets[row]!)
  return column
}
