import { describe, expect, test } from 'vitest'
import { GrowingWords } from '../../../src/columns/growing-words.js'

describe('growing words', () => {
  test('hold all that was pushed, over many growths', () => {
    const words = new GrowingWords()
    for (let i = 0; i < 5000; i++) words.push(i)
    expect(words.length).toBe(5000)
    expect(words.view()).toEqual(Uint32Array.from({ length: 5000 }, (_, i) => i))
  })

  test('come zeroed where room is made, which is counted in', () => {
    const words = new GrowingWords()
    words.push(7)
    const array = words.extend(3000)
    expect(words.length).toBe(3001)
    expect(words.view()).toEqual(Uint32Array.from({ length: 3001 }, (_, i) => (i === 0 ? 7 : 0)))
    array[3000] = 9
    words.push(8)
    expect([...words.view().subarray(2999)]).toEqual([0, 9, 8])
  })

  test('may be extended by nothing', () => {
    const words = new GrowingWords()
    words.extend(0)
    expect(words.view()).toHaveLength(0)
  })
})
