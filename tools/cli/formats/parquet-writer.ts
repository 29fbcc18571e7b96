/** Writes Parquet with hyparquet-writer, one row group after another. docs/decisions/interop.md. */
import { gzipSync } from 'node:zlib'
import type { ConvertedType, DecodedArray, Encoding, ParquetType, SchemaElement } from 'hyparquet'
import type { ScalarName } from '../../../src/encoding/stored-schema.js'
import type { TargetField } from '../../../src/exchange/mapping.js'
import type { Output } from '../output-file.js'
import { loadPackage } from './packages.js'
import type { RowColumns } from '../rows/row-format.js'
import type { RecordWriter, Written } from './record-writer.js'

type Hyparquet = typeof import('hyparquet-writer')

/** Small enough to be read in little memory, and large enough that a group's statistics are worth reading. */
const GROUP_ROWS = 128 * 1024

const CODECS = { none: 'UNCOMPRESSED', snappy: 'SNAPPY', gzip: 'GZIP' } as const

const TYPES: Readonly<Record<ScalarName, readonly [ParquetType, ConvertedType?]>> = {
  u8: ['INT32', 'UINT_8'],
  u16: ['INT32', 'UINT_16'],
  u32: ['INT32', 'UINT_32'],
  u64: ['INT64', 'UINT_64'],
  i8: ['INT32', 'INT_8'],
  i16: ['INT32', 'INT_16'],
  i32: ['INT32'],
  i64: ['INT64'],
  f32: ['FLOAT'],
  f64: ['DOUBLE'],
}

export async function openParquetWriter(output: Output, written: Written): Promise<RecordWriter> {
  const { fields, compression = 'snappy', encoding = 'plain' } = written
  const { ByteWriter, ParquetWriter } = await loadPackage<Hyparquet>('hyparquet-writer', 'Parquet')
  /** Gives on what was written after each row group. */
  class OutputWriter extends ByteWriter {
    async flush(): Promise<void> {
      const bytes = this.getBytes().slice()
      this.index = 0
      await output.write(bytes)
    }
    override finish(): Promise<void> {
      return this.flush()
    }
  }
  const writer = new ParquetWriter({
    writer: new OutputWriter(),
    schema: [{ name: 'root', num_children: fields.length }, ...fields.map(elementOf)],
    codec: CODECS[compression],
    compressors: { GZIP: bytes => gzipSync(bytes) },
    createdBy: 'flashtable',
  })
  return {
    batchRows: GROUP_ROWS,
    async write(columns, rows) {
      const columnData = fields.map(field => ({
        name: field.name,
        data: valuesOf(field, columns, rows),
        encoding: encodingOf(field, encoding),
      }))
      await writer.write({ columnData, rowGroupSize: rows })
    },
    async end() {
      await writer.finish()
    },
  }
}

function elementOf({ name, type, byteLength }: TargetField): SchemaElement {
  if (type === 'bytes')
    return { name, type: 'FIXED_LEN_BYTE_ARRAY', type_length: byteLength, repetition_type: 'REQUIRED' }
  const [physical, converted] = TYPES[type]
  return {
    name,
    type: physical,
    repetition_type: 'REQUIRED',
    ...(converted === undefined ? {} : { converted_type: converted }),
  }
}

/** Floats and bytes have no differences worth storing. */
function encodingOf({ type }: TargetField, encoding: 'plain' | 'delta'): Encoding {
  return encoding === 'delta' && /^[ui]/.test(type) ? 'DELTA_BINARY_PACKED' : 'PLAIN'
}

function valuesOf({ name, type, byteLength }: TargetField, columns: RowColumns, rows: number): DecodedArray {
  const column = columns[name]!
  // Of a Uint32Array it refuses values from 2^31 on, of an array it does not (0.17.0).
  if (type === 'u32') return Array.from(column as Uint32Array)
  if (type !== 'bytes') return column as DecodedArray
  const bytes = column as Uint8Array
  return Array.from({ length: rows }, (_, row) => bytes.subarray(row * byteLength, (row + 1) * byteLength))
}
