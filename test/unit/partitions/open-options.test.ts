import { expect, test } from 'vitest'
import { readerOptions, readPartitionedOptions, writerOptions } from '../../../src/partitions/open-options.js'

const MIB = 2 ** 20
const GIVEN = { write: 'all', directory: '/d' }

test('the more partitions are written, the less each may have in memory', () => {
  const given = readPartitionedOptions(GIVEN)
  const bytes = [1, 2, 8, 64, 1000].map(count => {
    const { bufferBytes, walBytes } = writerOptions(given, count) as { bufferBytes: number; walBytes: number }
    return [bufferBytes / MIB, walBytes / MIB]
  })
  expect(bytes).toEqual([
    [128, 16],
    [128, 16],
    [32, 16],
    [4, 4],
    [4, 4],
  ])
  const asked = readPartitionedOptions({ ...GIVEN, bufferBytes: MIB, walBytes: 2 * MIB })
  expect(writerOptions(asked, 64)).toMatchObject({ bufferBytes: MIB, walBytes: 2 * MIB })
})

test('readers share what filters may take', () => {
  expect(readerOptions(readPartitionedOptions({}), 64)).toMatchObject({ filterBytes: 4 * MIB })
  expect(readerOptions(readPartitionedOptions({ filterBytes: 100 }), 8)).toMatchObject({ filterBytes: 12 })
  expect(readerOptions(readPartitionedOptions({ filterBytes: 0 }), 0)).toMatchObject({ filterBytes: 0 })
})
