/** Columns of Arrow's record batches, as typed arrays or values; no copy is made where there need not be one. */
import {
  DataType,
  Field,
  FixedSizeBinary,
  Float32,
  Float64,
  Int16,
  Int32,
  Int64,
  Int8,
  makeData,
  RecordBatch,
  Schema,
  Struct,
  Uint16,
  Uint32,
  Uint64,
  Uint8,
  type Data,
  type Vector,
} from 'apache-arrow'
import { typedArrayName } from '../base/describe-value.js'
import { invalidType } from '../base/errors.js'
import type { OwnColumn } from '../encoding/field-type.js'
import type { ScalarName } from '../encoding/stored-schema.js'
import { scalarBytes, type SourceColumn, type SourceField } from './columns.js'
import type { TargetField } from './mapping.js'

const TYPES: Readonly<Record<ScalarName, () => DataType>> = {
  u8: () => new Uint8(),
  u16: () => new Uint16(),
  u32: () => new Uint32(),
  u64: () => new Uint64(),
  i8: () => new Int8(),
  i16: () => new Int16(),
  i32: () => new Int32(),
  i64: () => new Int64(),
  f32: () => new Float32(),
  f64: () => new Float64(),
}

/** The schema of batches with these fields; none of them is ever missing. */
export function arrowSchemaOf(fields: readonly TargetField[]): Schema {
  return new Schema(
    fields.map(({ name, type, byteLength }) =>
      Field.new({
        name,
        type: type === 'bytes' ? new FixedSizeBinary(byteLength) : TYPES[type](),
        nullable: false,
      }),
    ),
  )
}

/** A batch of these columns, which it keeps. */
export function arrowBatchOf(
  schema: Schema,
  columns: Readonly<Record<string, OwnColumn>>,
  rows: number,
): RecordBatch {
  const children = schema.fields.map(({ name, type }) =>
    makeData({ type, length: rows, nullCount: 0, data: columns[name] } as Parameters<typeof makeData>[0]),
  ) as Data[]
  return new RecordBatch(
    schema,
    makeData({ type: new Struct(schema.fields), length: rows, nullCount: 0, children }),
  )
}

/** What the columns of batches of this schema are. */
export function arrowFieldsOf(schema: Schema): SourceField[] {
  return schema.fields.map(field => ({ name: field.name, ...fieldTypeOf(field.type as DataType) }))
}

function fieldTypeOf(type: DataType): Omit<SourceField, 'name'> {
  const scalar = scalarOf(type)
  if (scalar !== undefined) return { type: scalar, byteLength: scalarBytes(scalar) }
  if (DataType.isFixedSizeBinary(type)) return { type: 'bytes', byteLength: type.byteWidth }
  if (DataType.isBool(type)) return { type: 'u8', byteLength: 1 }
  if (DataType.isUtf8(type) || DataType.isLargeUtf8(type)) return { type: 'text', byteLength: 0 }
  if (DataType.isBinary(type) || DataType.isLargeBinary(type)) return { type: 'binary', byteLength: 0 }
  if (DataType.isDictionary(type)) return fieldTypeOf(type.dictionary as DataType)
  return { type: undefined, byteLength: 0, refused: `of the Arrow type ${type}, which has no counterpart` }
}

/** Times are integers, in their own unit. */
function scalarOf(type: DataType): ScalarName | undefined {
  if (DataType.isInt(type)) return `${type.isSigned ? 'i' : 'u'}${type.bitWidth}` as ScalarName
  if (DataType.isFloat(type)) return type.precision === 1 ? 'f32' : type.precision === 2 ? 'f64' : undefined
  if (DataType.isTimestamp(type) || DataType.isDuration(type)) return 'i64'
  if (DataType.isTime(type)) return type.bitWidth === 64 ? 'i64' : 'i32'
  if (DataType.isDate(type)) return type.unit === 0 ? 'i32' : 'i64'
  return undefined
}

/** The column of a field of the batch. */
export function arrowColumnOf(batch: RecordBatch, name: string): SourceColumn {
  const vector = batch.getChild(name)
  // Another batch of the same stream may not have it.
  if (vector === null) return Array.from({ length: batch.numRows })
  const type = vector.type as DataType
  for (const data of vector.data) checkRows(name, data)
  if (vector.length !== batch.numRows) throw wrongRows(name, batch.numRows)
  const [data] = vector.data
  const isPlain = scalarOf(type) !== undefined || DataType.isFixedSizeBinary(type)
  if (!isPlain || vector.nullCount > 0 || vector.data.length !== 1 || data === undefined)
    return valuesOf(vector)
  const length = DataType.isFixedSizeBinary(type) ? vector.length * type.byteWidth : vector.length
  return wide(data.values as OwnColumn, scalarOf(type)).subarray(0, length) as OwnColumn
}

/** A damaged file may say any number of rows: the buffers must have them. */
function checkRows(name: string, data: Data): void {
  if (data.length >= 0 && data.length <= rowsIn(data)) return
  throw wrongRows(name, data.length)
}

function wrongRows(name: string, rows: number): Error {
  return invalidType(
    'FLASHTABLE_INVALID_VALUE',
    `column '${name}': ${rows} rows, and not as many values: it is damaged`,
  )
}

/** For how many rows there are values, or places of values. */
function rowsIn({ type, values, valueOffsets }: Data): number {
  const bytes = (values as Uint8Array | undefined)?.byteLength ?? 0
  if (DataType.isBool(type)) return bytes * 8
  if (DataType.isFixedSizeBinary(type)) return Math.floor(bytes / type.byteWidth)
  if (DataType.isDictionary(type)) return Math.floor(bytes / scalarBytes(scalarOf(type.indices)!))
  const scalar = scalarOf(type as DataType)
  if (scalar !== undefined) return Math.floor(bytes / scalarBytes(scalar))
  return ((valueOffsets as Int32Array | undefined)?.length ?? 1) - 1
}

/** Arrow gives dates as halves of their 64 bits. */
function wide(values: OwnColumn, type: ScalarName | undefined): OwnColumn {
  if (type !== 'i64' || typedArrayName(values) === 'BigInt64Array') return values
  return new BigInt64Array(values.buffer, values.byteOffset, values.byteLength / 8)
}

function valuesOf(vector: Vector): unknown[] {
  return Array.from({ length: vector.length }, (_, row) => vector.get(row) as unknown)
}
