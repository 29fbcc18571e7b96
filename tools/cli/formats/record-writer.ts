/** Writes the records of a table in the format of a file. */
import type { TargetField } from '../../../src/exchange/mapping.js'
import type { Output } from '../output-file.js'
import {
  csvFormat,
  jsonLinesFormat,
  type RowColumns,
  type RowField,
  type RowFormat,
} from '../rows/row-format.js'
import type { RecordSchema } from '../schema.js'
import type { ExportFormat } from './formats.js'
import { npyHeader } from './npy-header.js'
import { packRecords } from './packed.js'

export interface RecordWriter {
  /** How many rows it wants at once, if it matters; it takes fewer. */
  readonly batchRows?: number
  write(columns: RowColumns, rows: number): Promise<void>
  /** What stands after the last record. */
  end(): Promise<void>
}

/** What is written. */
export interface Written {
  /** As the table has them. */
  readonly stored: readonly RowField[]
  /** The same as columns. */
  readonly fields: readonly TargetField[]
  /** How many records will be written. */
  readonly rows: number
  /** Of Parquet. */
  readonly compression?: Compression | undefined
  readonly encoding?: ParquetEncoding | undefined
  /** Of JSON lines: 64-bit integers as numbers. */
  readonly jsonNumbers?: boolean | undefined
}

export const COMPRESSIONS = ['none', 'snappy', 'gzip'] as const
export type Compression = (typeof COMPRESSIONS)[number]

export const PARQUET_ENCODINGS = ['plain', 'delta'] as const
export type ParquetEncoding = (typeof PARQUET_ENCODINGS)[number]

export async function openWriter(
  format: ExportFormat,
  output: Output,
  written: Written,
): Promise<RecordWriter> {
  switch (format) {
    case 'csv':
      return textWriter(output, csvFormat(written.stored))
    case 'jsonl':
      return textWriter(
        output,
        jsonLinesFormat(written.stored, { bigints: written.jsonNumbers === true ? 'number' : 'string' }),
      )
    case 'npy':
      await output.write(npyHeader(written.fields, written.rows))
      return packedWriter(output, written)
    case 'records':
      return packedWriter(output, written)
    case 'parquet':
      return (await import('./parquet-writer.js')).openParquetWriter(output, written)
    case 'arrow':
    case 'arrow-stream':
      return (await import('./arrow-writer.js')).openArrowWriter(output, written, format === 'arrow')
  }
}

async function textWriter(output: Output, format: RowFormat): Promise<RecordWriter> {
  await output.write(format.head)
  return {
    async write(columns, rows) {
      for (const chunk of format.chunks(columns, 0, rows)) await output.write(chunk)
    },
    async end() {},
  }
}

function packedWriter(output: Output, { fields }: Written): RecordWriter {
  const schema = packedSchema(fields)
  // Used again: what was written before is out.
  let records = new Uint8Array()
  return {
    async write(columns, rows) {
      const bytes = rows * schema.recordBytes
      if (records.byteLength < bytes) records = new Uint8Array(bytes)
      packRecords(columns, rows, schema, records)
      await output.write(records.subarray(0, bytes))
    },
    async end() {},
  }
}

/** The fields one after another. */
function packedSchema(fields: readonly TargetField[]): RecordSchema {
  let recordBytes = 0
  const packed = fields.map(field => {
    const offset = recordBytes
    recordBytes += field.byteLength
    return { ...field, offset }
  })
  return { fields: packed, recordBytes }
}
