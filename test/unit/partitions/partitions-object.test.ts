import { describe, expect, test } from 'vitest'
import { checkedText } from '../../../src/format/checked-text.js'
import {
  keyDigits,
  keyOfDigits,
  parsePartitions,
  serializePartitions,
  type PartitionsObject,
} from '../../../src/partitions/partitions-object.js'
import { recordLayout } from '../../../src/records/record-layout.js'
import { thrownBy } from '../../support/thrown-by.js'

const OBJECT: PartitionsObject = {
  lineage: '0123456789abcdef0123456789abcdef',
  partitions: 4,
  schema: { key: { type: 'u64' }, value: null },
  duplicates: 'keep',
  pageBytes: 4096,
}
const DIVIDED: PartitionsObject = {
  ...OBJECT,
  partitions: 3,
  boundaries: ['0a00', 'ff00'],
  duplicates: { value: 'sum' },
}

test.each([OBJECT, DIVIDED])('PARTITIONS is read as it was written', object => {
  expect(parsePartitions(serializePartitions(object), 'x')).toEqual(object)
})

describe('damage', () => {
  test('each changed or missing byte is found', () => {
    const bytes = serializePartitions(DIVIDED)
    for (let at = 0; at < bytes.length; at++) {
      const damaged = bytes.slice()
      damaged[at]! ^= 1
      const error = thrownBy(() => parsePartitions(damaged, 'file:///x/PARTITIONS')) as { code?: string }
      expect(['FLASHTABLE_CORRUPTION', 'FLASHTABLE_UNSUPPORTED_FORMAT']).toContain(error.code)
      expect(thrownBy(() => parsePartitions(bytes.subarray(0, at), 'x'))).toMatchObject({
        code: 'FLASHTABLE_CORRUPTION',
      })
    }
  })

  test('a later version is told as such', () => {
    const later = checkedText({ kind: 'partitions', version: 2 }, OBJECT)
    expect(thrownBy(() => parsePartitions(later, 'x'))).toMatchObject({
      code: 'FLASHTABLE_UNSUPPORTED_FORMAT',
    })
  })

  test.each([
    [],
    5,
    { ...OBJECT, lineage: 'abc' },
    { ...OBJECT, partitions: 3 },
    { ...OBJECT, partitions: 0 },
    { ...OBJECT, partitions: 131_072 },
    { ...OBJECT, partitions: '4' },
    { ...DIVIDED, partitions: 4 },
    { ...DIVIDED, boundaries: ['ff00', '0a00'] },
    { ...DIVIDED, boundaries: ['0a00', '0a00'] },
    { ...DIVIDED, boundaries: ['0a', '0b00'] },
    { ...DIVIDED, boundaries: ['0a0', 'ff0'] },
    { ...DIVIDED, boundaries: ['0A00', 'FF00'] },
    { ...DIVIDED, boundaries: [1, 2] },
    { ...DIVIDED, boundaries: {} },
    { ...OBJECT, schema: null },
    { ...OBJECT, duplicates: 'drop' },
    { ...OBJECT, duplicates: { value: 'add' } },
    { ...OBJECT, duplicates: undefined },
    { ...OBJECT, pageBytes: 4097 },
    { ...OBJECT, pageBytes: 2048 },
  ])('what no release writes is damage: %j', value => {
    const text = checkedText({ kind: 'partitions', version: 1 }, value as object)
    expect(thrownBy(() => parsePartitions(text, 'x'))).toMatchObject({ code: 'FLASHTABLE_CORRUPTION' })
  })
})

test('keys become digits and back', () => {
  const layout = recordLayout([4, 1], [])
  const key = Uint32Array.of(10, 255)
  expect(keyDigits(key, layout)).toBe('0000000aff')
  expect(keyOfDigits('0000000aff', layout)).toEqual(key)
  for (const digits of ['0000000a', '0000000aff00']) expect(keyOfDigits(digits, layout)).toBeUndefined()
})
