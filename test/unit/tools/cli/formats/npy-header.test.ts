/** Headers of NumPy files: those that are written are read, and damage has an answer. */
import { describe, expect, test } from 'vitest'
import { npyHeader, npyHeaderBytes, parseNpyHeader } from '../../../../../tools/cli/formats/npy-header.js'
import { WrongFileError } from '../../../../../tools/cli/formats/wrong-file.js'
import { parseSchema } from '../../../../../tools/cli/schema.js'

/** As numpy writes it, with a text of its own. */
function headerOf(text: string, version = 1): Buffer {
  const length = Buffer.alloc(version === 1 ? 2 : 4)
  if (version === 1) length.writeUInt16LE(text.length)
  else length.writeUInt32LE(text.length)
  return Buffer.concat([
    Buffer.from(`\x93NUMPY${String.fromCharCode(version)}\0`, 'latin1'),
    length,
    Buffer.from(text),
  ])
}

const parse = (descr: string, shape = '(2,)') =>
  parseNpyHeader('x.npy', headerOf(`{'descr': ${descr}, 'fortran_order': False, 'shape': ${shape}, }\n`))

const typesOf = (...args: Parameters<typeof parse>): string =>
  parse(...args)
    .schema.fields.map(({ name, type, byteLength, offset, bigEndian }) =>
      [name, type, byteLength, `@${offset}`, ...(bigEndian === true ? ['big'] : [])].join(' '),
    )
    .join(', ')

test('a header that was written is read, and what follows is aligned', () => {
  const { fields } = parseSchema('key:bytes(20),a:u8,b:i16,c:u32,d:i64,e:f32,f:f64')
  const header = npyHeader(fields, 12_345)
  expect(header.byteLength % 64).toBe(0)
  expect(npyHeaderBytes('x.npy', header)).toBe(header.byteLength)
  const { schema, rows, start } = parseNpyHeader('x.npy', header)
  expect({ rows, start, recordBytes: schema.recordBytes }).toEqual({
    rows: 12_345,
    start: header.byteLength,
    recordBytes: 47,
  })
  expect(schema.fields).toEqual(fields)
})

test('names beyond ASCII take version 3', () => {
  const { fields } = parseSchema('key:u64,größe:u16')
  const header = npyHeader(fields, 1)
  expect(header[6]).toBe(3)
  expect(parseNpyHeader('x.npy', header).schema.fields).toEqual(fields)
})

describe('types', () => {
  test('plain ones', () => {
    expect(typesOf("'<u8'")).toBe('key u64 8 @0')
    expect(typesOf("'>i4'")).toBe('key i32 4 @0 big')
    expect(typesOf("'|S20'")).toBe('key bytes 20 @0')
    expect(typesOf("'|u1'", '(2, 20)')).toBe('key bytes 20 @0')
    expect(typesOf("'<u2'", '(2, 3)')).toBe('0 u16 2 @0, 1 u16 2 @2, 2 u16 2 @4')
    expect(typesOf("'|b1'")).toBe('key u8 1 @0')
  })

  test('structured ones, with padding, titles and arrays of bytes', () => {
    const descr =
      "[('a', '|u1'), ('', '|V3'), (('Title', 'b'), '>f4'), ('c', '|u1', (3,)), ('d', '<M8[ns]'), ('e', '|V2')]"
    expect(typesOf(descr)).toBe('a u8 1 @0, b f32 4 @4 big, c bytes 3 @8, d i64 8 @11, e bytes 2 @19')
  })

  test.each([
    "'<f2'",
    "'|O'",
    "'<U4'",
    "'<c8'",
    "[('a', '<u4', (2,))]",
    "[('a', [('b', '<u4')])]",
    "'|S0'",
    '5',
  ])('no counterpart: %s', descr => {
    expect(() => parse(descr)).toThrow(WrongFileError)
    expect(() => parse(descr)).toThrow('no counterpart')
  })
})

test.each([
  ["{'descr': '<u8', 'fortran_order': False, 'shape': (2,)", 'damaged'],
  ["{'descr': '<u8', 'shape': (2,), }", 'descr, fortran_order and shape'],
  ["{'descr': '<u8', 'fortran_order': False, 'shape': (-2,), }", 'damaged'],
  ["{'descr': '<u8', 'fortran_order': False, 'shape': (2, 2, 2), }", '3 dimensions'],
  ["{'descr': '<u8', 'fortran_order': True, 'shape': (2, 2), }", 'ascontiguousarray'],
  ["{'descr': '<u8', 'fortran_order': False, 'shape': (), }", '0 dimensions'],
  ["{'descr': [], 'fortran_order': False, 'shape': (2,), }", 'no bytes'],
  ["{'descr': '<u2', 'fortran_order': False, 'shape': (2, 0), }", 'second dimension'],
  ["{'descr': __import__('os'), }", 'damaged'],
  [`${'['.repeat(100)}`, 'damaged'],
  ['', 'no NumPy file'],
])('%s is refused', (text, says) => {
  expect(() => parseNpyHeader('x.npy', headerOf(text))).toThrow(says)
})

test('lengths and versions that no header has are refused', () => {
  expect(() => npyHeaderBytes('x.npy', Buffer.from('\x93NUMPY\x04\0aaaa', 'latin1'))).toThrow('version 4')
  expect(() => npyHeaderBytes('x.npy', Buffer.from('\x93NUMPY\x02\0\xff\xff\xff\xff', 'latin1'))).toThrow(
    '4294967295 bytes',
  )
  expect(() => npyHeaderBytes('x.npy', Buffer.from('PK\x03\x04aaaaaaaa', 'latin1'))).toThrow('no NumPy file')
})
