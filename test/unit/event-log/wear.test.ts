/** How fast a table writes, from what its lines say. */
import { Buffer } from 'node:buffer'
import { describe, expect, test } from 'vitest'
import { eventLine } from '../../../src/event-log/event.js'
import { historyIn, projectedLifeDays, WrittenHistory } from '../../../src/event-log/wear.js'
import { SimulatedFileSystem } from '../../support/simulated-file-system.js'

const MINUTE = 60_000
const HOUR = 60 * MINUTE
const DAY = 24 * HOUR
const NOW = Date.UTC(2026, 10, 29)

/** Points at minutes before now, with what had been written by then. */
function history(...points: readonly (readonly [minutesAgo: number, bytes: number])[]): WrittenHistory {
  const made = new WrittenHistory()
  for (const [minutesAgo, bytes] of points) made.add(NOW - minutesAgo * MINUTE, bytes)
  return made
}

describe('the wear', () => {
  test('is the difference of the counters, over the hour and the day', () => {
    const wear = history([2000, 0], [1440, 1000], [600, 3000], [60, 4000], [30, 4500]).wear(NOW, 5000)
    expect(wear).toEqual({
      lastHour: { bytes: 1000, ms: HOUR },
      lastDay: { bytes: 4000, ms: DAY },
      bytesPerDay: 4000,
    })
  })

  test('tells how much of the time is known', () => {
    expect(history([30, 500], [10, 600]).wear(NOW, 1500)).toEqual({
      lastHour: { bytes: 1000, ms: HOUR / 2 },
      lastDay: { bytes: 1000, ms: HOUR / 2 },
      bytesPerDay: 48_000,
    })
    expect(new WrittenHistory().wear(NOW, 1500)).toEqual({
      lastHour: { bytes: 0, ms: 0 },
      lastDay: { bytes: 0, ms: 0 },
      bytesPerDay: undefined,
    })
  })

  test('takes what was written between two lines for written shortly before the second one', () => {
    // Idle from 300 to 70 minutes ago; then 1000 bytes within ten minutes, of which the last hour has none.
    expect(history([300, 0], [60, 1000]).wear(NOW, 1000).lastHour.bytes).toBe(0)
    // 55 minutes ago: half of these ten minutes are in the last hour.
    expect(history([300, 0], [55, 1000]).wear(NOW, 1000).lastHour.bytes).toBe(500)
    // Idle for days.
    expect(history([90_000, 0], [80_000, 1000]).wear(NOW, 1000).lastDay).toEqual({ bytes: 0, ms: DAY })
  })

  test('keeps the last point of a crowd, so that a burst has its time', () => {
    const crowd = Array.from({ length: 1000 }, (_, i) => [300 + (1000 - i) / 1000, i] as const)
    expect(history(...crowd, [60, 1000]).wear(NOW, 1000).lastHour.bytes).toBe(0)
    expect(history([400, 0], ...crowd, [100, 999]).wear(NOW, 999)).toMatchObject({ lastDay: { bytes: 999 } })
  })

  test('begins anew where another table was in the directory, or the clock was set back', () => {
    expect(history([100, 1_000_000], [50, 10]).wear(NOW, 20).lastDay).toEqual({ bytes: 10, ms: 50 * MINUTE })
    expect(history([100, 0], [-500, 500], [50, 600]).wear(NOW, 700).lastHour.bytes).toBe(700)
  })

  test('counts what the lines tell, where they are ahead of the counters', () => {
    expect(history([30, 0], [1, 1000]).wear(NOW, 400).lastHour.bytes).toBe(1000)
  })
})

describe('the history in a directory', () => {
  const line = (minutesAgo: number, wal: number): string =>
    eventLine(
      NOW - minutesAgo * MINUTE,
      { event: 'mark' },
      { files: 0, put: { records: 0, bytes: 0 }, written: { wal, buckets: 1, manifest: 1, events: 1 } },
    )

  test('is that of its event log, until now', async () => {
    const disk = new SimulatedFileSystem()
    disk.writeFile('/table/LOG.old.jsonl', Buffer.from(line(90, 0)))
    disk.writeFile('/table/LOG.jsonl', Buffer.from(`${line(30, 100)}torn\n${line(-10, 9999)}`))
    const wear = (await historyIn(disk, '/table', NOW)).wear(NOW, 203)
    expect(wear.lastDay).toEqual({ bytes: 200, ms: 90 * MINUTE })
    expect(disk.openHandles).toBe(0)
  })

  test('is empty where there is no log, and where it cannot be read', async () => {
    const disk = new SimulatedFileSystem()
    disk.writeFile('/table/LOG.jsonl', Buffer.from(line(30, 100)))
    disk.failAt(({ op }) => op === 'read', 'EIO')
    for (const directory of ['/table', '/nowhere'])
      expect((await historyIn(disk, directory, NOW)).wear(NOW, 1).bytesPerDay).toBeUndefined()
  })
})

describe('projectedLifeDays', () => {
  const at = (bytesPerDay: number | undefined, bytes: unknown) =>
    projectedLifeDays({ wear: { bytesPerDay } }, bytes as number)

  test('is the endurance by the rate', () => {
    expect(at(2e12, 150e12)).toBe(75)
    expect(at(0, 150e12)).toBe(Infinity)
    expect(at(undefined, 150e12)).toBeUndefined()
  })

  test('refuses what is no number of bytes', () => {
    expect(() => at(1, '150TB')).toThrow(TypeError)
    for (const bytes of [0, -1, NaN, Infinity]) expect(() => at(1, bytes)).toThrow(RangeError)
  })
})
