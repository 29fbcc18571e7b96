/** Reads arrays that `numpy.save` has written: structured ones, and plain ones of one or two dimensions. */
import type { FileBatch, RecordSource } from './columns.js'
import { isOnDisk, type InputFile } from './input-file.js'
import { NPY_PREFIX_BYTES, npyHeaderBytes, parseNpyHeader, type NpyHeader } from './npy-header.js'
import { unpackRecords } from './packed.js'
import { WrongFileError } from './wrong-file.js'

const PIECE_BYTES = 1024 * 1024

export class NpySource implements RecordSource {
  readonly #file: InputFile
  readonly #header: NpyHeader

  private constructor(file: InputFile, header: NpyHeader) {
    this.#file = file
    this.#header = header
  }

  static async open(file: InputFile): Promise<NpySource> {
    const headerBytes = npyHeaderBytes(file.path, await file.head(NPY_PREFIX_BYTES))
    const bytes = await file.head(headerBytes)
    if (bytes.byteLength < headerBytes) throw new WrongFileError(`${file.path} ends within its header`)
    const header = parseNpyHeader(file.path, bytes)
    if (isOnDisk(file)) checkBytes(file.path, header, file.bytes - header.start)
    return new NpySource(file, header)
  }

  get path(): string {
    return this.#file.path
  }

  get bytes(): number | undefined {
    return this.#file.bytes
  }

  get fields(): NpyHeader['schema']['fields'] {
    return this.#header.schema.fields
  }

  async *batches(names: readonly string[]): AsyncGenerator<FileBatch> {
    const { schema, start } = this.#header
    const wanted = { ...schema, fields: schema.fields.filter(({ name }) => names.includes(name)) }
    const { recordBytes } = schema
    let bytesRead = start
    let records = 0
    for await (const piece of this.#file.pieces(
      Math.max(1, Math.floor(PIECE_BYTES / recordBytes)) * recordBytes,
      start,
    )) {
      const rows = Math.floor(piece.byteLength / recordBytes)
      const first = records
      bytesRead += piece.byteLength
      records += rows
      if (rows > 0)
        yield {
          columns: unpackRecords(piece, rows, wanted),
          rows,
          bytesRead,
          place: row => `row ${first + row}`,
        }
    }
    checkBytes(this.path, this.#header, bytesRead - start)
  }

  close(): Promise<void> {
    return this.#file.close()
  }
}

function checkBytes(path: string, { rows, schema }: NpyHeader, found: number): void {
  const expected = rows * schema.recordBytes
  if (found === expected) return
  throw new WrongFileError(
    `${path} does not fit its header: expected ${expected} bytes (${rows} records of ${schema.recordBytes} bytes), ` +
      `found ${found} bytes`,
  )
}
