import { describe, expect, test } from 'vitest'
import { BufferPool } from '../../../src/records/buffer-pool.js'
import { DELETE_KEY, PUT } from '../../../src/records/operations.js'
import { wideLayout } from '../../support/rows.js'

describe('a pool of buffers', () => {
  test('gives a buffer that came back, empty, without kinds, and to one taker alone', () => {
    const pool = new BufferPool(wideLayout(1, 1))
    const buffer = pool.take()
    buffer.appendRecord(DELETE_KEY, Uint32Array.of(1, 2))
    pool.giveBack(buffer)
    const again = pool.take()
    expect(again).toBe(buffer)
    expect([again.count, again.kinds]).toEqual([0, undefined])
    expect(pool.take()).not.toBe(buffer)
  })

  test('keeps no large buffer, and few small ones', () => {
    const pool = new BufferPool(wideLayout(1, 1))
    const large = pool.take()
    large.reserve(5000)
    pool.giveBack(large)
    expect(pool.take()).not.toBe(large)
    const many = Array.from({ length: 100 }, () => pool.take())
    for (const buffer of many) {
      buffer.appendRecord(PUT, Uint32Array.of(1, 2))
      pool.giveBack(buffer)
    }
    const kept = Array.from({ length: 100 }, () => pool.take()).filter(buffer => many.includes(buffer))
    expect(kept.length).toBe(8)
  })
})
