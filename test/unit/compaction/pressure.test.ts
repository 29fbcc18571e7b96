/** When runs are flushed, and when merges count as behind. */
import { describe, expect, test } from 'vitest'
import type { BucketFile } from '../../../src/bucket-file/reader.js'
import { debtOfFiles, debtOfRuns, dueFlush, runsMax } from '../../../src/compaction/pressure.js'

const MIB = 2 ** 20

/** Runs of that many records each, with so much log. */
function runs(count: number, records: number, logBytes = 0) {
  return Array.from({ length: count }, () => ({ file: { entry: { records } } as BucketFile, logBytes }))
}

describe('a flush of eight runs and 800 records is due', () => {
  const due = (of: ReturnType<typeof runs>) => dueFlush(of, 8, 800, 16)

  test('with the eighth run, however small', () => {
    expect([due(runs(7, 1)), due(runs(8, 1))]).toEqual([undefined, 'full'])
  })

  test('with as many records, in however few runs', () => {
    expect([due(runs(1, 799)), due(runs(1, 800)), due(runs(2, 400))]).toEqual([undefined, 'full', 'full'])
  })

  test('with a padded log of a MiB', () => {
    expect([due(runs(1, 100, MIB - 1)), due(runs(1, 100, MIB)), due(runs(2, 100, MIB / 2))]).toEqual([
      undefined,
      'padded-log',
      'padded-log',
    ])
    // The same log is not padded if it has records for it.
    expect(dueFlush(runs(1, MIB / 64 + 1, MIB), 8, MIB, 16)).toBeUndefined()
  })

  test('never without a run', () => {
    expect(due([])).toBeUndefined()
  })
})

describe('the debt', () => {
  test('of files begins at three quarters of 32, or of twice the fanout', () => {
    expect([23, 24, 31, 40].map(files => debtOfFiles(files, 16) > 0)).toEqual([false, true, true, true])
    expect([debtOfFiles(31, 16), debtOfFiles(400, 16)]).toEqual([1, 1])
    expect([debtOfFiles(95, 64) > 0, debtOfFiles(96, 64) > 0, debtOfFiles(127, 64)]).toEqual([false, true, 1])
  })

  test('of runs begins behind those that are being flushed and one more', () => {
    expect(runsMax(8)).toBe(13)
    expect([8, 9, 10, 13, 20].map(count => debtOfRuns(count, 8))).toEqual([0, 0, 0.25, 1, 1])
    // With one run to a flush there is room for no more than one besides.
    expect([1, 2, 3].map(count => debtOfRuns(count, 1))).toEqual([0, 0, 1])
  })
})
