import { crc32 } from 'node:zlib'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { crc32Words } from '../../../src/format/checksum-words.js'

test('the checksum of words equals that of zlib for every length on both sides of the switch to zlib', () => {
  const words = Uint32Array.from({ length: 200 }, (_, i) => Math.imul(i + 1, 0x9e3779b1) >>> 0)
  const bytes = new Uint8Array(words.buffer)
  for (let from = 0; from < 4; from++) {
    for (let to = from + 1; to <= words.length; to++) {
      const seed = Math.imul(from * 1000 + to, 0x85ebca6b) >>> 0
      expect(crc32Words(words, from, to, seed)).toBe(crc32(bytes.subarray(from * 4, to * 4), seed))
    }
  }
})

test('the checksum of words equals that of zlib for random words and seeds', () => {
  fc.assert(
    fc.property(fc.uint32Array({ minLength: 1, maxLength: 100 }), fc.nat(0xffffffff), (words, seed) => {
      const bytes = new Uint8Array(words.buffer, words.byteOffset, words.byteLength)
      expect(crc32Words(words, 0, words.length, seed)).toBe(crc32(bytes, seed))
    }),
  )
})
