import { expect, test } from 'vitest'
import { WordBuffer } from '../../../src/format/word-buffer.js'

test('words come back in the order in which they were pushed and appended, over chunks', () => {
  const words = new WordBuffer()
  const expected: number[] = []
  for (let i = 0; expected.length < 200_000; i++) {
    if (i % 3 === 0) {
      words.push(i)
      expected.push(i)
    } else {
      const piece = Uint32Array.from({ length: (i * 37) % 1000 }, (_, j) => i + j)
      words.append(piece)
      expected.push(...piece)
    }
  }
  expect(words.length).toBe(expected.length)
  const all = new Uint32Array(expected.length)
  words.copyTo(all, 0)
  expect(all).toEqual(Uint32Array.from(expected))
  const some = new Uint32Array(1021)
  words.copyTo(some, 65_000)
  expect(some).toEqual(Uint32Array.from(expected.slice(65_000, 66_021)))
})

test('a copy that reaches beyond the end leaves the rest as it is', () => {
  const words = new WordBuffer()
  words.append(Uint32Array.of(1, 2, 3))
  const target = new Uint32Array(4).fill(9)
  words.copyTo(target, 1)
  expect(target).toEqual(Uint32Array.of(2, 3, 9, 9))
})

test('the memory of a large buffer that was cleared serves the next one, which begins empty', () => {
  const count = 2 ** 23 + 200_000
  const words = new WordBuffer()
  const piece = new Uint32Array(2 ** 16).fill(7)
  while (words.length < count) words.append(piece)
  words.clear()
  expect(words.length).toBe(0)
  expect(words.toArray()).toEqual(new Uint32Array())
  const next = new WordBuffer()
  const other = new Uint32Array(2 ** 16).fill(9)
  while (next.length < count) next.append(other)
  expect(next.toArray().every(word => word === 9)).toBe(true)
  // What was cleared takes words again, and disturbs nothing.
  while (words.length < count) words.append(piece)
  expect(words.toArray().every(word => word === 7)).toBe(true)
  expect(next.toArray().every(word => word === 9)).toBe(true)
})
