import { expect, test } from 'vitest'
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
