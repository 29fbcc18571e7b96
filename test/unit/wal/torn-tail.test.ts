import { describe, expect, test } from 'vitest'
import { ChainBreak, saysSynced, sightingAt } from '../../../src/wal/torn-tail.js'
import type { Sighting } from '../../../src/wal/torn-tail.js'
import { SegmentReader } from '../../../src/wal/segment-reader.js'
import type { FoundFrame } from '../../../src/wal/segment-reader.js'
import { DIRECTORY, layout, newLog, ONE, PAGE, pathOf, TABLE_ID } from './log.js'

const PATH = pathOf(1)

function sighting(offset: number, evidence: Sighting['evidence'], isTorn = false): Sighting {
  return { path: PATH, offset, found: `${evidence} at ${offset}`, evidence, isTorn }
}

function breakOf(first: Sighting, ...later: Sighting[]): ChainBreak {
  const broken = new ChainBreak({ source: 0, offset: first.offset }, 7, first)
  for (const one of later) broken.add(one)
  return broken
}

describe('ChainBreak', () => {
  test('stronger evidence of the missing frame replaces weaker evidence in the error', () => {
    const broken = breakOf(
      sighting(80, 'padding'),
      sighting(PAGE, 'other bytes'),
      sighting(2 * PAGE, 'header'),
    )
    expect(broken.damage().message).toBe(
      `${PATH} is damaged at offset ${2 * PAGE}: expected the frame that begins with sequence number 7, found header at 8192`,
    )
    expect(broken.start).toEqual({ source: 0, offset: 80 })
  })

  test('of two sightings with equal evidence the error names the first', () => {
    const broken = breakOf(
      sighting(80, 'other bytes'),
      sighting(PAGE, 'other bytes'),
      sighting(2 * PAGE, 'padding'),
    )
    expect(broken.damage().offset).toBe(80)
  })

  test('a break without a torn sighting is the plain end of the log', () => {
    expect(breakOf(sighting(80, 'padding'), sighting(PAGE, 'other bytes')).tornAt).toBeUndefined()
  })

  test('a torn sighting anywhere makes the break a torn tail, which begins at the strongest evidence', () => {
    const broken = breakOf(
      sighting(80, 'padding'),
      sighting(PAGE, 'other bytes'),
      sighting(2 * PAGE, 'padding', true),
    )
    expect(broken.tornAt).toEqual({ path: PATH, offset: PAGE })
  })
})

describe('saysSynced', () => {
  test('a frame proves that an operation was synced only if its synced sequence number is above it', () => {
    const frame = { header: { syncedSequence: 7 } } as FoundFrame
    expect([6, 7, 8].map(sequence => saysSynced(frame, sequence))).toEqual([true, false, false])
    expect(saysSynced(undefined, 0)).toBe(false)
  })
})

describe('sightingAt', () => {
  /** Frames [0, 1) and [1, 2), then zeros to the end of the page, then a page of other bytes. */
  async function readerOfTwoFrames(): Promise<SegmentReader> {
    const { disk, writer } = await newLog().then(async log => {
      await log.append()
      await log.append()
      return log
    })
    await writer.close()
    disk.writeFile(
      PATH,
      Buffer.concat([disk.readFile(PATH), new Uint8Array(PAGE - 2 * ONE), new Uint8Array(PAGE).fill(0xee)]),
    )
    const reader = await SegmentReader.open(
      { fileSystem: disk, directory: DIRECTORY, layout, tableId: TABLE_ID },
      { number: 1, epoch: 1 },
      Infinity,
    )
    await reader.load(0, 2 * PAGE)
    return reader
  }

  test('zeros inside a page are padding, and no sign of a torn frame', async () => {
    const reader = await readerOfTwoFrames()
    expect(sightingAt(reader, 2 * ONE, undefined, 2, PAGE)).toMatchObject({
      evidence: 'padding',
      isTorn: false,
    })
  })

  test('bytes without a header are torn inside a page, and of an earlier life at a page start', async () => {
    const reader = await readerOfTwoFrames()
    const inside = sightingAt(reader, PAGE + 4, undefined, 2, PAGE)
    expect(inside).toMatchObject({ evidence: 'other bytes', isTorn: true })
    const atStart = sightingAt(reader, PAGE, undefined, 2, PAGE)
    expect(atStart).toMatchObject({ evidence: 'other bytes', isTorn: false })
  })

  test('the header of the expected frame is the strongest evidence, that of another frame is not', async () => {
    const reader = await readerOfTwoFrames()
    const frame = reader.frameAt(ONE)
    expect(frame?.header.firstSequence).toBe(1)
    expect(sightingAt(reader, ONE, frame, 1, PAGE)).toMatchObject({ evidence: 'header', isTorn: true })
    expect(sightingAt(reader, ONE, frame, 5, PAGE)).toMatchObject({
      evidence: 'other bytes',
      found: 'a frame that begins with 1',
    })
  })
})
