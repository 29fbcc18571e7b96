import { expect, test } from 'vitest'
import { formatCount, formatNumber } from '../../../../tools/cli/output.js'
import {
  countText,
  durationText,
  percentText,
  roundText,
  shortText,
  sizeText,
} from '../../../../tools/cli/words.js'

test('sizes have the unit in which they are below 1,024', () => {
  const sizes = [0, 1, 1023, 1024, 1536, 2 ** 20 - 1, 2 ** 20, 123 * 2 ** 30, 2 ** 53]
  expect(sizes.map(sizeText)).toEqual([
    '0 bytes',
    '1 byte',
    '1,023 bytes',
    '1.00 KiB',
    '1.50 KiB',
    '1,024 KiB',
    '1.00 MiB',
    '123 GiB',
    '8.00 PiB',
  ])
})

test('numbers have three digits, shares are never rounded to nothing or to all', () => {
  expect([0, 0.5, 9.994, 10.04, 1234.5].map(roundText)).toEqual(['0', '0.50', '9.99', '10.0', '1,235'])
  expect([0, 0.001, 0.4, 0.999, 1].map(percentText)).toEqual([
    '0 %',
    'less than 1 %',
    '40 %',
    'more than 99 %',
    '100 %',
  ])
  expect([5, 1500, 90_000, 600_000, 3 * 3_600_000].map(durationText)).toEqual([
    '5 ms',
    '1.50 s',
    '90.0 s',
    '10.0 minutes',
    '3.00 hours',
  ])
  expect([countText(1, 'file'), countText(2000, 'file')]).toEqual(['1 file', '2,000 files'])
})

test('long texts are cut between characters, and cannot act on what shows them', () => {
  expect(shortText('a\u202e\u0000b', 40)).toBe('a\\u202e\\u0000b')
  expect(shortText('😀😀😀😀', 3)).toBe('😀😀…')
})

test('counts and rounded numbers are written as toLocaleString writes them', () => {
  const numbers = [
    0,
    1,
    9,
    10,
    99.5,
    999,
    999.5,
    1000,
    1234.5,
    12_345.678,
    999_999.96,
    1e6,
    123_456_789,
    2 ** 53,
    1e21,
  ]
  for (const value of [...numbers, ...numbers.map(number => -number), 1 / 3, 1e-7, NaN, Infinity, -Infinity])
    for (const digits of [0, 1, 2]) {
      const expected = value.toLocaleString('en-US', {
        minimumFractionDigits: digits,
        maximumFractionDigits: digits,
      })
      expect(formatNumber(value, digits)).toBe(Object.is(value, -0) ? formatNumber(0, digits) : expected)
      expect(formatCount(value)).toBe(Object.is(value, -0) ? '0' : value.toLocaleString('en-US'))
    }
})
