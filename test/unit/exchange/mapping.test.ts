/** Which column becomes which field, and what is said where none can. */
import { describe, expect, test } from 'vitest'
import type { SourceField } from '../../../src/exchange/columns.js'
import { mapFields } from '../../../src/exchange/mapping.js'

const column = (name: string, type: SourceField['type'], byteLength = 8): SourceField => ({
  name,
  type,
  byteLength,
})
const HASH = column('hash', 'u64')
const TIME = column('time', 'i16', 2)

/** `name:type` of the fields, each with the name of its column. */
function mapped(...args: Parameters<typeof mapFields>): string {
  return mapFields(...args)
    .map(({ source, target }) => `${target.name}:${target.type}(${target.byteLength})=${source.name}`)
    .join(' ')
}

describe('without a schema', () => {
  test('all columns become fields, with the types they have', () => {
    expect(mapped([column('key', 'u64'), TIME], {})).toBe('key:u64(8)=key time:i16(2)=time')
    expect(mapped([HASH, TIME], { key: 'hash', at: 'time' })).toBe('key:u64(8)=hash at:i16(2)=time')
  })

  test('a single column is the key, and a key has no sign', () => {
    expect(mapped([HASH], {})).toBe('key:u64(8)=hash')
    expect(mapped([column('a', 'i32', 4), TIME], { key: 'a' })).toBe('key:u32(4)=a time:i16(2)=time')
    expect(mapped([column('a', 'bytes', 32)], {})).toBe('key:bytes(32)=a')
  })

  test.each<[string, SourceField[], Record<string, string>, RegExp]>([
    [
      'no key',
      [HASH, TIME],
      {},
      /no column is named key: they are hash, time; map says which it is: key=hash/,
    ],
    [
      'a column that is not there',
      [HASH],
      { key: 'nothing' },
      /map wants the column "nothing".*: the columns are hash/,
    ],
    [
      'a type that is not told',
      [column('key', undefined), TIME],
      {},
      /the type of the column "key" is not told/,
    ],
    ['text', [HASH, column('name', 'text', 0)], { key: 'hash' }, /the type of the column "name" is not told/],
    ['a key of floats', [column('key', 'f64')], {}, /"key" cannot be the key: it is f64/],
    ['a key that is too long', [column('key', 'bytes', 33)], {}, /cannot be the key: it is bytes/],
    [
      'a name that no field may have',
      [column('key', 'u8', 1), column('a b', 'u8', 1)],
      {},
      /cannot be named "a b"/,
    ],
    [
      'a value among others',
      [column('key', 'u8', 1), TIME, column('value', 'u8', 1)],
      {},
      /cannot be named "value"/,
    ],
    [
      'two fields of a name',
      [HASH, TIME, column('key', 'u8', 1)],
      { key: 'hash' },
      /two columns would be the field "key"/,
    ],
    [
      'what has no counterpart',
      [HASH, { name: 'list', type: undefined, byteLength: 0, refused: 'a list' }],
      { key: 'hash' },
      /the column "list" is a list/,
    ],
  ])('%s is refused', (_, columns, map, says) => {
    expect(() => mapFields(columns, map)).toThrow(says)
    expect(() => mapFields(columns, map)).toThrow(
      expect.objectContaining({ code: 'FLASHTABLE_INVALID_OPTION' }),
    )
  })
})

describe('with a schema', () => {
  const KEY = { name: 'key', type: 'u32', byteLength: 4 } as const

  test('only its fields are taken, with its types', () => {
    expect(mapped([TIME, HASH], { key: 'hash' }, [KEY])).toBe('key:u32(4)=hash')
    expect(mapped([TIME, column('key', undefined)], {}, [KEY, { ...KEY, name: 'time' }])).toBe(
      'key:u32(4)=key time:u32(4)=time',
    )
  })

  test('a field without a column is refused, and a map of a field that it does not have', () => {
    expect(() => mapFields([HASH], {}, [KEY])).toThrow('the field "key" has no column: the columns are hash')
    expect(() => mapFields([HASH], { when: 'hash' }, [KEY])).toThrow('map names the field "when"')
    // Names of the prototype are names as others.
    expect(() => mapFields([HASH], {}, [{ ...KEY, name: 'constructor' }])).toThrow(
      '"constructor" has no column',
    )
  })
})
