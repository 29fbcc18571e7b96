import { expect, test } from 'vitest'
import { FilterLines, NO_LINE } from '../../../src/bucket-file/filter-lines.js'

/** Pages of 4,096 bytes have 63 lines; three data pages with 2, 0 and 100 lines, and the filter from page 3 on. */
const lines = new FilterLines(Uint32Array.of(2, 2, 102), 3, 4096, 7)

test('each data page has its lines, by the hash of the key', () => {
  expect(lines.count).toBe(102)
  expect([0, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff].map(hash => lines.lineFor(0, hash))).toEqual([0, 0, 1, 1])
  expect([0, 0xffff_ffff].map(hash => lines.lineFor(2, hash))).toEqual([2, 101])
})

test('a data page without lines has no filter', () => {
  expect([0, 0xffff_ffff].map(hash => lines.lineFor(1, hash))).toEqual([NO_LINE, NO_LINE])
  expect(new FilterLines(new Uint32Array(0), 0, 4096, 0).count).toBe(0)
})

test('a line lies in one page, after 64 bytes that are the header of the page', () => {
  const places = [0, 1, 62, 63, 101].map(line => [lines.pageOf(line), lines.wordOf(line)])
  expect(places).toEqual([
    [3, 16],
    [3, 32],
    [3, 63 * 16],
    [4, 16],
    [4, 39 * 16],
  ])
})

test('the page of a line is its number by the lines of a page, rounded down, up to the last line that there can be', () => {
  for (const pageBytes of [4096, 16_384, 65_536]) {
    const filter = new FilterLines(Uint32Array.of(0xffff_ffff), 0, pageBytes, 7)
    const linesPerPage = pageBytes / 64 - 1
    for (let page = 0; page * linesPerPage < 2 ** 32; page = page * 2 + 1) {
      const first = page * linesPerPage
      expect([filter.pageOf(first), filter.wordOf(first)]).toEqual([page, 16])
      expect([filter.pageOf(first + linesPerPage - 1), filter.wordOf(first + linesPerPage - 1)]).toEqual([
        page,
        16 * linesPerPage,
      ])
    }
  }
})

test('a line is asked where its page lies in memory', () => {
  const words = new Uint32Array(3000)
  words.fill(0xffff_ffff, 1000 + 39 * 16, 1000 + 40 * 16)
  expect(lines.mayContain(words, 1000, 101, 12345)).toBe(true)
  expect(lines.mayContain(words, 1000, 100, 12345)).toBe(false)
  expect(lines.mayContain(words, 0, 101, 12345)).toBe(false)
})
