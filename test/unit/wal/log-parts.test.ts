/** Which frames of a damaged log count, and which operations are missing. */
import { describe, expect, test } from 'vitest'
import { clip, gapsOf, partsOf } from '../../../src/wal/log-parts.js'
import type { FrameRun, RunPart } from '../../../src/wal/log-parts.js'
import { failureOf, pathOf } from './log.js'

/** A run of operations [firstSequence, endSequence), ten bytes each. */
function runOf(segment: number, firstSequence: number, endSequence: number): FrameRun {
  const [from, to] = [firstSequence * 10, endSequence * 10]
  return { segment, path: pathOf(segment), from, to, firstSequence, endSequence, frames: 1 }
}

function partOf(segment: number, firstSequence: number, endSequence: number): RunPart {
  return { run: runOf(segment, firstSequence, endSequence), firstSequence, endSequence }
}

function rangesOf(parts: readonly RunPart[]): string[] {
  return parts.map(({ run, firstSequence, endSequence }) => `${run.segment}: ${firstSequence}-${endSequence}`)
}

const EVERYTHING = () => ({ first: 0, end: Infinity })

describe('partsOf', () => {
  test('what a later segment holds replaces what an earlier one holds beyond its start', () => {
    const segments = [
      { number: 1, runs: [runOf(1, 0, 5), runOf(1, 6, 12)] },
      { number: 2, runs: [runOf(2, 8, 10)] },
    ]
    expect(rangesOf(partsOf(segments, EVERYTHING))).toEqual(['1: 0-5', '1: 6-8', '2: 8-10'])
  })

  test('no operation counts twice, and parts come in the order of their sequence numbers', () => {
    const segments = [{ number: 1, runs: [runOf(1, 4, 9), runOf(1, 0, 6)] }]
    expect(rangesOf(partsOf(segments, EVERYTHING))).toEqual(['1: 0-6', '1: 6-9'])
  })

  test('only what a segment may hold counts', () => {
    const segments = [{ number: 1, runs: [runOf(1, 0, 9)] }]
    expect(rangesOf(partsOf(segments, () => ({ first: 2, end: 7 })))).toEqual(['1: 2-7'])
  })

  test('segments that do not ascend are a bug of the caller', async () => {
    const segments = [2, 1].map(number => ({ number, runs: [] }))
    const error = await failureOf(() => partsOf(segments, EVERYTHING))
    expect(error.message).toMatch(/segments ascend by number/)
  })
})

describe('clip', () => {
  test('a part without operations in the range is undefined', () => {
    expect(clip(partOf(1, 3, 6), 0, 3)).toBeUndefined()
    expect(clip(partOf(1, 3, 6), 6, 9)).toBeUndefined()
    expect(clip(partOf(1, 3, 6), 5, 9)).toMatchObject({ firstSequence: 5, endSequence: 6 })
  })
})

describe('gapsOf', () => {
  const range = { path: pathOf(1), firstSequence: 0, endSequence: 10, noFile: false }

  test('gaps before, between and after parts are reported with the end of what precedes them', () => {
    expect(gapsOf([partOf(1, 2, 4), partOf(1, 6, 9)], [range])).toEqual([
      { path: pathOf(1), offset: 0, noFile: false, firstSequence: 0, endSequence: 2 },
      { path: pathOf(1), offset: 40, noFile: false, firstSequence: 4, endSequence: 6 },
      { path: pathOf(1), offset: 90, noFile: false, firstSequence: 9, endSequence: 10 },
    ])
  })

  test('a range that the parts cover has no gap', () => {
    expect(gapsOf([partOf(1, 0, 4), partOf(2, 4, 12)], [range])).toEqual([])
  })

  test('a range without parts is one gap at the beginning of its segment', () => {
    const second = { path: pathOf(2), firstSequence: 10, endSequence: 13, noFile: true }
    expect(gapsOf([partOf(1, 0, 10)], [range, second])).toEqual([{ ...second, offset: 0 }])
  })

  test('parts that overlap are a bug of the caller', async () => {
    const error = await failureOf(() => gapsOf([partOf(1, 0, 5), partOf(1, 4, 9)], [range]))
    expect(error.message).toMatch(/ascend without overlaps/)
  })
})
