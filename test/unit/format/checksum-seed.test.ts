import { describe, expect, test } from 'vitest'
import { fileSeedOf, seedFamily, seedFor, tableFamily } from '../../../src/format/checksum-seed.js'
import { crc32, fileSeed, positionSeed } from '../../../src/format/checksum.js'
import { Random } from '../../support/random.js'

const SEED = Number(process.env['FLASHTABLE_SEED'] ?? Date.now() % 1_000_000)

describe(`the seed of a checksum (seed ${SEED})`, () => {
  const random = new Random(SEED)

  test('is found from the bytes and the checksum, and leads to that of the file', () => {
    for (let i = 0; i < 200; i++) {
      const bytes = random.bytes(random.below(100))
      const seed = random.below(2 ** 32)
      const position = random.below(2 ** 30)
      const checksum = crc32(bytes, positionSeed(seed, position))
      expect(fileSeedOf(seedFor(bytes, 0, bytes.length, checksum), position)).toBe(seed)
    }
  })

  test('tells the table of a file, whatever the epoch, and no other table or number', () => {
    for (let i = 0; i < 200; i++) {
      const tableId = random.bytes(16)
      const number = 1 + random.below(1000)
      const seed = fileSeed(tableId, 1 + random.below(65_535), number)
      expect(seedFamily(seed, number)).toBe(tableFamily(tableId))
      expect(seedFamily(seed, number + 1 + random.below(1000))).not.toBe(tableFamily(tableId))
    }
  })
})
