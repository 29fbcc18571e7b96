/**
 * The header of a NumPy file: a magic number, a version, and a Python literal that tells the type of the records and how
 * many there are. Source: https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
 */
import type { ScalarName } from '../../../src/encoding/stored-schema.js'
import type { TargetField } from '../../../src/exchange/mapping.js'
import type { Field, RecordSchema } from '../schema.js'
import { WrongFileError } from './wrong-file.js'

export const NPY_MAGIC = Buffer.from('\x93NUMPY', 'latin1')

/** NumPy aligns the records to this. */
const ALIGNMENT = 64
/** Magic, version, and the longer one of the two widths that the length of the text may have. */
export const NPY_PREFIX_BYTES = 12
/** A structured type of a thousand fields has some 30 KB. */
const LONGEST_TEXT = 1024 * 1024

/** What the header says of the records. */
export interface NpyHeader {
  /** Fields and where they are in a record. The fields of a plain array are `0`, `1` ..., or `key` if it has one. */
  readonly schema: RecordSchema
  readonly rows: number
  /** Where the records begin. */
  readonly start: number
}

/** How long the header is, from the first {@link NPY_PREFIX_BYTES}. */
export function npyHeaderBytes(path: string, prefix: Buffer): number {
  if (!prefix.subarray(0, NPY_MAGIC.byteLength).equals(NPY_MAGIC) || prefix.byteLength < NPY_PREFIX_BYTES)
    throw new WrongFileError(`${path} is no NumPy file: it does not begin as numpy.save would write it`)
  const [major] = prefix.subarray(NPY_MAGIC.byteLength)
  if (major !== 1 && major !== 2 && major !== 3)
    throw new WrongFileError(`${path} is a NumPy file of version ${major}; versions 1 to 3 are known`)
  const length = major === 1 ? prefix.readUInt16LE(8) : prefix.readUInt32LE(8)
  if (length > LONGEST_TEXT)
    throw new WrongFileError(`${path} is damaged: its header would have ${length} bytes`)
  return (major === 1 ? 10 : NPY_PREFIX_BYTES) + length
}

/** Reads a header: all of its bytes. Throws a {@link WrongFileError} that says what cannot be imported. */
export function parseNpyHeader(path: string, header: Buffer): NpyHeader {
  const start = npyHeaderBytes(path, header)
  const text = header
    .subarray(header[NPY_MAGIC.byteLength] === 1 ? 10 : NPY_PREFIX_BYTES, start)
    .toString('utf8')
  const wrong = (what: string): WrongFileError => new WrongFileError(`${path}: ${what}`)
  let literal: PythonLiteral
  try {
    literal = parsePython(text)
  } catch (error) {
    throw wrong(`its header is damaged: ${(error as Error).message}`)
  }
  const {
    descr,
    shape,
    fortran_order: isFortran,
  } = (literal ?? {}) as Record<string, PythonLiteral | undefined>
  if (descr === undefined || !isShape(shape) || typeof isFortran !== 'boolean')
    throw wrong('its header is damaged: it needs descr, fortran_order and shape')
  if (shape.length === 0 || shape.length > 2)
    throw wrong(
      `it has ${shape.length} dimensions; arrays of records have 1, or 2 with a column for each field`,
    )
  const [rows, columns = 1] = shape as [number, number?]
  if (isFortran && columns > 1) throw wrong('it is stored by columns; save numpy.ascontiguousarray(array)')
  return { schema: schemaOf(wrong, descr, shape.length === 2 ? columns : undefined), rows, start }
}

function isShape(shape: PythonLiteral | undefined): shape is readonly number[] {
  return (
    Array.isArray(shape) && shape.every(length => Number.isSafeInteger(length) && (length as number) >= 0)
  )
}

/** `columns`: of an array of two dimensions. */
function schemaOf(
  wrong: (what: string) => WrongFileError,
  descr: PythonLiteral,
  columns: number | undefined,
): RecordSchema {
  if (Array.isArray(descr)) {
    if (columns !== undefined) throw wrong('it has 2 dimensions of records; save array.ravel()')
    return structuredSchema(wrong, descr)
  }
  const type = plainType(descr)
  if (type === undefined) throw wrong(unknownType('it', descr))
  if (columns === 0) throw wrong('its second dimension is 0')
  // Bytes in rows are one value each: digests, for instance.
  if (type.type === 'u8' && columns !== undefined)
    return oneField({ name: 'key', type: 'bytes', byteLength: columns, offset: 0 })
  if (columns === undefined) return oneField({ name: 'key', ...type, offset: 0 })
  const fields = Array.from({ length: columns }, (_, column) => ({
    name: String(column),
    ...type,
    offset: column * type.byteLength,
  }))
  return { fields, recordBytes: columns * type.byteLength }
}

function oneField(field: Field): RecordSchema {
  return { fields: [field], recordBytes: field.byteLength }
}

function structuredSchema(
  wrong: (what: string) => WrongFileError,
  descr: readonly PythonLiteral[],
): RecordSchema {
  const fields: Field[] = []
  let offset = 0
  for (const entry of descr) {
    const [name, descr, shape] = Array.isArray(entry) ? entry : []
    // A title and a name, in this order.
    const fieldName = Array.isArray(name) ? name[1] : name
    if (typeof fieldName !== 'string' || descr === undefined)
      throw wrong('its header is damaged: a field has no name')
    const type = fieldType(descr, shape)
    if (type === undefined) throw wrong(unknownType(`its field "${fieldName}"`, entry))
    // What NumPy calls padding has no name.
    if (fieldName !== '') fields.push({ name: fieldName, ...type, offset })
    offset += type.byteLength
  }
  if (offset === 0) throw wrong('its records have no bytes')
  return { fields, recordBytes: offset }
}

type FieldType = Pick<Field, 'type' | 'byteLength' | 'bigEndian'>

/** A field that is an array of bytes is `bytes(n)`; other arrays have no counterpart. */
function fieldType(descr: PythonLiteral, shape: PythonLiteral | undefined): FieldType | undefined {
  const type = plainType(descr)
  if (shape === undefined || type === undefined) return type
  const [count] = isShape(shape) ? shape : []
  if (type.type !== 'u8' || !isShape(shape) || shape.length !== 1 || count === 0) return undefined
  return { type: 'bytes', byteLength: count! }
}

const KINDS: Readonly<Record<string, ScalarName>> = {
  u1: 'u8',
  u2: 'u16',
  u4: 'u32',
  u8: 'u64',
  i1: 'i8',
  i2: 'i16',
  i4: 'i32',
  i8: 'i64',
  f4: 'f32',
  f8: 'f64',
  b1: 'u8',
}

/** `<u8`, `|S20`, `|V20`; times are integers, in the unit of the array. */
function plainType(descr: PythonLiteral): FieldType | undefined {
  if (typeof descr !== 'string') return undefined
  const [, order, kind, size] = /^([<>|=])([a-zA-Z])(\d{1,4})(?:\[[^\]]*\])?$/.exec(descr) ?? []
  if (order === undefined) return undefined
  if ((kind === 'S' || kind === 'V' || kind === 'a') && Number(size) > 0)
    return { type: 'bytes', byteLength: Number(size) }
  const type = kind === 'M' || kind === 'm' ? KINDS[`i${size}`] : KINDS[`${kind}${size}`]
  if (type === undefined) return undefined
  return { type, byteLength: Number(size), ...(order === '>' ? { bigEndian: true } : {}) }
}

function unknownType(what: string, descr: PythonLiteral): string {
  return (
    `${what} has the type ${JSON.stringify(descr)}, which has no counterpart in a table; integers, floats of 4 and 8 ` +
    'bytes and bytes (S20, V20) have one: array.astype(...) converts'
  )
}

const TYPES: Readonly<Record<ScalarName, string>> = {
  u8: '|u1',
  u16: '<u2',
  u32: '<u4',
  u64: '<u8',
  i8: '|i1',
  i16: '<i2',
  i32: '<i4',
  i64: '<i8',
  f32: '<f4',
  f64: '<f8',
}

/** The header of a structured array of these records. Bytes become `V`, which keeps zeros at the end. */
export function npyHeader(fields: readonly TargetField[], rows: number): Buffer {
  const types = fields.map(({ name, type, byteLength }) => {
    const text = type === 'bytes' ? `|V${byteLength}` : TYPES[type]
    return `('${name}', '${text}')`
  })
  const text = `{'descr': [${types.join(', ')}], 'fortran_order': False, 'shape': (${rows},), }`
  // Version 3 has names in UTF-8; older readers know version 1 alone.
  const isPlain = /^[\x20-\x7e]*$/.test(text) && text.length < 0xff00
  const prefix = isPlain ? 10 : NPY_PREFIX_BYTES
  const bytes = Math.ceil((prefix + Buffer.byteLength(text) + 1) / ALIGNMENT) * ALIGNMENT
  const header = Buffer.alloc(bytes, ' ')
  NPY_MAGIC.copy(header)
  header.writeUInt16LE(isPlain ? 1 : 3, NPY_MAGIC.byteLength)
  if (isPlain) header.writeUInt16LE(bytes - prefix, 8)
  else header.writeUInt32LE(bytes - prefix, 8)
  header.write(text, prefix)
  header.write('\n', bytes - 1)
  return header
}

type PythonLiteral =
  string | number | boolean | null | readonly PythonLiteral[] | { readonly [key: string]: PythonLiteral }

/** Reads the literals that headers have: texts, whole numbers, True, False, None, tuples, lists and dictionaries. */
function parsePython(text: string): PythonLiteral {
  const tokens =
    text.match(/'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|\d+L?|True|False|None|[()[\]{}:,]|[^\s]/g) ?? []
  let at = 0
  const close = { '(': ')', '[': ']' } as Readonly<Record<string, string>>

  function literal(depth: number): PythonLiteral {
    const token = tokens[at++]
    if (token === undefined || depth > 8) throw new Error('it ends too early')
    if (/^['"]/.test(token)) return token.slice(1, -1).replaceAll(/\\(.)/g, '$1')
    if (/^\d/.test(token)) return Number(token.replace('L', ''))
    if (token === 'True' || token === 'False') return token === 'True'
    if (token === 'None') return null
    if (token === '{') return dictionary(depth)
    if (close[token] !== undefined) return sequence(close[token], depth)
    throw new Error(`"${token}" is not expected`)
  }

  function sequence(end: string, depth: number): PythonLiteral[] {
    const items: PythonLiteral[] = []
    while (tokens[at] !== end) {
      items.push(literal(depth + 1))
      if (tokens[at] === ',') at++
      else if (tokens[at] !== end) throw new Error('a comma is missing')
    }
    at++
    return items
  }

  function dictionary(depth: number): { [key: string]: PythonLiteral } {
    const entries: [string, PythonLiteral][] = []
    while (tokens[at] !== '}') {
      const key = literal(depth + 1)
      if (tokens[at++] !== ':') throw new Error('a colon is missing')
      entries.push([String(key), literal(depth + 1)])
      if (tokens[at] === ',') at++
      else if (tokens[at] !== '}') throw new Error('a comma is missing')
    }
    at++
    return Object.fromEntries(entries)
  }

  const value = literal(0)
  if (at < tokens.length) throw new Error(`"${tokens[at]}" is not expected after its end`)
  return value
}
