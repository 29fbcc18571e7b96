import { describe, expect, test } from 'vitest'
import { diskError } from '../../../../src/base/errors.js'
import type { StoredFieldType } from '../../../../src/encoding/stored-schema.js'
import { inCommandLineWords } from '../../../../tools/cli/failure.js'
import { parseKey } from '../../../../tools/cli/key.js'
import { parseSchema, schemaText } from '../../../../tools/cli/schema.js'
import { parseShape } from '../../../../tools/cli/shape.js'
import { UsageError } from '../../../../tools/cli/usage.js'

describe('a schema in text', () => {
  test('gives each field its type, width and offset, in the order of the text', () => {
    expect(parseSchema('key:u64,time:u16,flags:u16,id:i32')).toEqual({
      fields: [
        { name: 'key', type: 'u64', byteLength: 8, offset: 0 },
        { name: 'time', type: 'u16', byteLength: 2, offset: 8 },
        { name: 'flags', type: 'u16', byteLength: 2, offset: 10 },
        { name: 'id', type: 'i32', byteLength: 4, offset: 12 },
      ],
      recordBytes: 16,
    })
  })

  test('knows all types, spaces between its parts, and a key that is not the first field', () => {
    const text = 'a:u8, b:i8, c:u16, d:i16, e:u32, f:i32, g:f32, h:u64, i:i64, j:f64, key: bytes(20)'
    const schema = parseSchema(text)
    expect(schema.fields.map(field => field.byteLength)).toEqual([1, 1, 2, 2, 4, 4, 4, 8, 8, 8, 20])
    expect(schema.recordBytes).toBe(62)
  })

  test('may have the key alone, or a single field named value', () => {
    expect(parseSchema('key:bytes(32)').recordBytes).toBe(32)
    expect(parseSchema('key:u32,value:f64').recordBytes).toBe(12)
  })

  test.each([
    ['', '"" is not of the form name:type'],
    ['key', '"key" is not of the form name:type'],
    ['key:u64,', '"" is not of the form name:type'],
    ['key:', 'field "key" has the type ""'],
    ['key:u63', 'field "key" has the type "u63"; the types are u8 u16'],
    ['key:u64,x:bytes(0)', 'field "x" has the type "bytes(0)"'],
    ['key:u64,x:toString', 'field "x" has the type "toString"'],
    ['id:u64', 'no field is named "key"'],
    ['key:i64', 'the key must be u8 u16 u32 u64 or bytes(1) to bytes(32)'],
    ['key:f32', 'the key must be'],
    ['key:bytes(33)', 'the key must be'],
    ['key:u64,key:u64', 'field "key" is given twice'],
    ['key:u64,a:u8,a:u16', 'field "a" is given twice'],
    ['key:u64,query:u8', 'a field cannot be named "query"'],
    ['key:u64,__proto__:u8', 'a field cannot be named "__proto__"'],
    ['key:u64,1:u8', 'a field cannot be named "1"'],
    ['key:u64,value:u8,other:u8', '"value" must be the only one beside the key'],
  ])('is refused as a schema: %j', (text, message) => {
    expect(() => parseSchema(text)).toThrow(UsageError)
    expect(() => parseSchema(text)).toThrow(message)
  })
})

describe('a shape in text', () => {
  test('is two numbers, buckets and slots', () => {
    expect(parseShape('16384,32')).toEqual({ buckets: 16384, slots: 32 })
    expect(parseShape(' 1 , 2 ')).toEqual({ buckets: 1, slots: 2 })
  })

  test.each(['', '16384', '16384,32,16', '0,32', '16384,0', '-1,32', '1e3,32', '16384x32', '1.5,2'])(
    'is refused as a shape: %j',
    text => {
      expect(() => parseShape(text)).toThrow(UsageError)
    },
  )

  test('is refused where a bucket would have no slot beside its head', () => {
    expect(() => parseShape('16384,1')).toThrow('slot 0 is its head')
  })
})

describe('a key in text', () => {
  test.each([
    ['0', 'u8', 0],
    ['255', 'u8', 255],
    ['0xff', 'u8', 255],
    ['0XfF', 'u16', 255],
    ['65535', 'u16', 65_535],
    ['0xffffffff', 'u32', 0xffff_ffff],
    ['18446744073709551615', 'u64', 0xffff_ffff_ffff_ffffn],
    ['0x0000000000000000000001', 'u64', 1n],
  ] as const)('is an integer: %s as %s', (text, type, key) => {
    expect(parseKey(text, { type })).toBe(key)
  })

  test.each([
    ['256', 'u8'],
    ['65536', 'u16'],
    ['4294967296', 'u32'],
    ['18446744073709551616', 'u64'],
    ['-1', 'u64'],
    ['', 'u64'],
    ['0x', 'u64'],
    ['12x', 'u64'],
    ['1.0', 'u64'],
    ['0b1', 'u64'],
    [' 1', 'u64'],
  ] as const)('is refused, never cut or wrapped around: %j as %s', (text, type) => {
    expect(() => parseKey(text, { type })).toThrow(UsageError)
  })

  test('is two hexadecimal digits a byte, with or without 0x', () => {
    expect(parseKey('00fFa1', { type: 'bytes', bytes: 3 })).toEqual(Uint8Array.of(0, 255, 0xa1))
    expect(parseKey('0x00ffa1', { type: 'bytes', bytes: 3 })).toEqual(Uint8Array.of(0, 255, 0xa1))
  })

  test.each(['', '00ff', '00ffa', '00ffa1b2', '00ffxx', '-0ffa1'])(
    'is refused where it is not all bytes: %j',
    text => {
      expect(() => parseKey(text, { type: 'bytes', bytes: 3 })).toThrow('6 hexadecimal digits')
    },
  )

  test('is what its encoding writes, where it has one', () => {
    expect(parseKey('00ff', { type: 'fixed', encoding: 'hex', bytes: 2 })).toBe('00ff')
    expect(parseKey('héé', { type: 'fixed', encoding: 'utf8', bytes: 5 })).toBe('héé')
    expect(parseKey('00ff', { type: 'fixed', encoding: 'view', bytes: 2 })).toEqual(Uint8Array.of(0, 255))
    expect(parseKey('[1]', { type: 'fixed', encoding: 'json', bytes: 3 })).toEqual([1])
    expect(() => parseKey('[1', { type: 'fixed', encoding: 'json', bytes: 3 })).toThrow('it is JSON')
  })

  test('is refused where only a program knows its encoding', () => {
    expect(() => parseKey('1', { type: 'custom', encoding: 'mine', bytes: 3 })).toThrow('"mine"')
  })
})

describe('a schema that is stored', () => {
  test.each([
    'key:u64,time:u16,flags:u16,id:i32',
    'key:bytes(20)',
    'key:u8,value:f64',
    'key:u32,a:bytes(3),b:i64',
  ])('is told as import takes it: %s', text => {
    const { fields } = parseSchema(text)
    const typeOf = ({ type, byteLength }: (typeof fields)[number]): StoredFieldType =>
      type === 'bytes' ? { type, bytes: byteLength } : { type }
    const key = typeOf(fields[0]!)
    const values = fields.slice(1).map(field => ({ name: field.name, ...typeOf(field) }))
    const value =
      values.length === 0
        ? null
        : values[0]!.name === 'value'
          ? typeOf(fields[1]!)
          : { type: 'struct' as const, fields: values }
    expect(schemaText({ key, value })).toBe(text)
  })

  test('names encodings that have a width', () => {
    const key = { type: 'fixed', encoding: 'hex', bytes: 4 } as const
    expect(schemaText({ key, value: { type: 'custom', encoding: 'a\u001b', bytes: 2 } })).toBe(
      'key:fixed(hex,4),value:custom("a\\u001b",2)',
    )
  })
})

describe('the words of a message', () => {
  test.each([
    ['t is open in process 7; close it there, or wait with lockTimeoutMs', '--wait SECONDS'],
    ['is just opening it; try again, or set lockTimeoutMs', '--wait SECONDS'],
    ['another value; leave the encodings out to open it as it was created', 'flashtable stats'],
    ['MANIFEST is missing; give the schema of the table to repair it', '--schema'],
    [
      diskError({ code: 'EROFS', message: 'EROFS' }, 't cannot be opened').message,
      'choose another directory',
    ],
    [diskError({ code: 'ENOMEM', message: 'ENOMEM' }, 't cannot be opened').message, 'end other programs'],
  ])('are those of the command line: %s', (message, words) => {
    const said = inCommandLineWords(message)
    expect(said).toContain(words)
    expect(said).not.toMatch(/lockTimeoutMs|readOnly|cacheBytes|bufferBytes|keyEncoding/)
  })
})
