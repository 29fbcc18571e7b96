/**
 * Reads Parquet files with hyparquet, a stretch of a row group at a time: pages where the file says where they are, else
 * whole row groups. docs/decisions/interop.md.
 */
import type { AsyncBuffer, CompressionCodec, FileMetaData, ParquetScan, SchemaElement } from 'hyparquet'
import type { SourceColumn, SourceField } from '../../../src/exchange/columns.js'
import { scalarBytes } from '../../../src/exchange/columns.js'
import type { ScalarName } from '../../../src/encoding/stored-schema.js'
import type { FileBatch, RecordSource } from './columns.js'
import type { DiskFile } from './input-file.js'
import { loadPackage } from './packages.js'
import { readingAs, WrongFileError } from './wrong-file.js'

type Hyparquet = typeof import('hyparquet')
type Compressors = typeof import('hyparquet-compressors')

/** Rows that are read at once where pages can be found. */
const STRETCH_ROWS = 128 * 1024
/** What hyparquet unpacks without another package. */
const BUILT_IN: readonly CompressionCodec[] = ['UNCOMPRESSED', 'SNAPPY']

/** Times stay the integers that they are. */
const same = <Value>(value: Value): Value => value
const PARSERS = {
  timestampFromMilliseconds: same,
  timestampFromMicroseconds: same,
  timestampFromNanoseconds: same,
  dateFromDays: same,
  uuidFromBytes: same,
}

export class ParquetSource implements RecordSource {
  readonly #file: DiskFile
  readonly #hyparquet: Hyparquet
  readonly #metadata: FileMetaData
  readonly fields: readonly SourceField[]

  private constructor(file: DiskFile, hyparquet: Hyparquet, metadata: FileMetaData) {
    this.#file = file
    this.#hyparquet = hyparquet
    this.#metadata = metadata
    this.fields = hyparquet.parquetSchema(metadata).children.map(({ element, children }) => ({
      name: element.name,
      ...(children.length > 0 ? refused('a group of columns') : typeOf(element)),
    }))
  }

  static async open(file: DiskFile): Promise<ParquetSource> {
    const hyparquet = await loadPackage<Hyparquet>('hyparquet', 'Parquet')
    return reading(file.path, async () => {
      const metadata = await hyparquet.parquetMetadataAsync(asyncBuffer(file), { geoparquet: false })
      return new ParquetSource(file, hyparquet, metadata)
    })
  }

  get path(): string {
    return this.#file.path
  }

  get bytes(): number {
    return this.#file.bytes
  }

  async *batches(names: readonly string[]): AsyncGenerator<FileBatch> {
    const scan = await reading(this.path, () => this.#scan(names))
    const total = Number(this.#metadata.num_rows)
    for (const { start, end } of this.#stretches(names)) {
      const columns = new Map<string, SourceColumn>()
      for (const name of names) columns.set(name, await this.#column(scan, name, start, end))
      yield {
        columns,
        rows: end - start,
        bytesRead: Math.floor((this.bytes * end) / total),
        place: row => `row ${start + row}`,
      }
    }
    await this.#file.checkUnchanged()
  }

  close(): Promise<void> {
    return this.#file.close()
  }

  async #scan(names: readonly string[]): Promise<ParquetScan> {
    const codecs = new Set(
      this.#metadata.row_groups.flatMap(({ columns }) =>
        columns.map(({ meta_data: data }) => data?.codec ?? 'UNCOMPRESSED'),
      ),
    )
    const packed = [...codecs].find(codec => !BUILT_IN.includes(codec))
    const compressors =
      packed === undefined
        ? undefined
        : (await loadPackage<Compressors>('hyparquet-compressors', `Parquet compressed with ${packed}`))
            .compressors
    return this.#hyparquet.parquetScan({
      file: asyncBuffer(this.#file),
      metadata: this.#metadata,
      columns: [...names],
      parsers: PARSERS,
      utf8: false,
      ...(compressors === undefined ? {} : { compressors }),
    })
  }

  async #column(scan: ParquetScan, name: string, rowStart: number, rowEnd: number): Promise<SourceColumn> {
    const column = await reading(this.path, () => scan.readColumn({ column: name, rowStart, rowEnd }))
    const rows = rowEnd - rowStart
    if (column.length === rows) return column as SourceColumn
    throw new WrongFileError(
      `${this.path} is damaged: column "${name}" has ${column.length} of the ${rows} rows from ${rowStart} on`,
    )
  }

  /** Row ranges within row groups. */
  *#stretches(names: readonly string[]): Generator<{ start: number; end: number }> {
    let first = 0
    for (const { columns, num_rows: count } of this.#metadata.row_groups) {
      const end = first + Number(count)
      const wanted = columns.filter(({ meta_data: data }) => names.includes(data?.path_in_schema[0] ?? ''))
      const step = wanted.every(({ offset_index_offset: offset }) => offset !== undefined)
        ? STRETCH_ROWS
        : Infinity
      for (let start = first; start < end; start += step) yield { start, end: Math.min(end, start + step) }
      first = end
    }
  }
}

const reading = readingAs('Parquet')

function asyncBuffer(file: DiskFile): AsyncBuffer {
  return {
    byteLength: file.bytes,
    slice(start, end = file.bytes) {
      const from = start < 0 ? file.bytes + start : start
      // Thrown at once, and rejections are noted here: the library asks for several parts ahead, and may never look at them.
      if (!(from >= 0 && end >= from && end <= file.bytes))
        throw new RangeError(`bytes ${from} to ${end} are not in the file`)
      const reading = file.read(from, end).then(({ buffer }) => buffer)
      reading.catch(() => {})
      return reading
    },
  }
}

const CONVERTED: Readonly<Partial<Record<string, ScalarName>>> = {
  UINT_8: 'u8',
  UINT_16: 'u16',
  UINT_32: 'u32',
  UINT_64: 'u64',
  INT_8: 'i8',
  INT_16: 'i16',
}

function typeOf(element: SchemaElement): Omit<SourceField, 'name'> {
  const { type, converted_type: converted, logical_type: logical, repetition_type: repetition } = element
  if (repetition === 'REPEATED') return refused('a list')
  if (converted === 'DECIMAL' || logical?.type === 'DECIMAL') return refused('a decimal number')
  if (logical?.type === 'FLOAT16') return refused('a float of 16 bits')
  switch (type) {
    case 'BOOLEAN':
      return scalar('u8')
    case 'INT32':
    case 'INT64': {
      const integer =
        logical?.type === 'INTEGER'
          ? (`${logical.isSigned ? 'i' : 'u'}${logical.bitWidth}` as ScalarName)
          : undefined
      return scalar(integer ?? CONVERTED[converted ?? ''] ?? (type === 'INT32' ? 'i32' : 'i64'))
    }
    case 'FLOAT':
      return scalar('f32')
    case 'DOUBLE':
      return scalar('f64')
    case 'FIXED_LEN_BYTE_ARRAY':
      return { type: 'bytes', byteLength: element.type_length ?? 0 }
    case 'BYTE_ARRAY':
      return { type: converted === 'UTF8' || logical?.type === 'STRING' ? 'text' : 'binary', byteLength: 0 }
    default:
      return refused(`of the type ${type}`)
  }
}

function scalar(type: ScalarName): Omit<SourceField, 'name'> {
  return { type, byteLength: scalarBytes(type) }
}

function refused(what: string): Omit<SourceField, 'name'> {
  return { type: undefined, byteLength: 0, refused: `${what}, which has no counterpart in a table` }
}
