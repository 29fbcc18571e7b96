/** The wear of a table, over hours and lives, on a clock that the test moves; for writers and readers. */
import { describe, expect, test } from 'vitest'
import { FlashTable, struct, type TableStats } from '../../src/index.js'
import { metricsOfStats } from '../../src/metrics.js'
import { simulatedEnvironment } from '../support/simulated-environment.js'
import { SimulatedFileSystem } from '../support/simulated-file-system.js'

const HOUR = 3_600_000
const OPTIONS = {
  keyEncoding: 'u32',
  valueEncoding: struct({ id: 'u32' }),
  bufferBytes: 1024,
  walBytes: 8192,
  syncIntervalMs: Infinity,
}

/** A disk, and a clock on which hours pass. */
function newWorld() {
  const disk = new SimulatedFileSystem()
  const clock = { ms: Date.UTC(2026, 0, 1) }
  const environment = { ...simulatedEnvironment(disk), date: () => clock.ms }
  const open = (options: object = {}): Promise<FlashTable> =>
    FlashTable.openIn('/table', { ...OPTIONS, ...options }, environment)
  return { disk, clock, open }
}

async function put(table: FlashTable, count: number): Promise<void> {
  for (let i = 0; i < count; i++) await table.put(i as never, { id: i } as never)
}

const written = ({ bytesWritten }: TableStats): number =>
  Object.values(bytesWritten).reduce((sum, bytes) => sum + bytes)

describe('the wear of a table', () => {
  test('is what was written in the last hour and day, over its lives', async () => {
    const { clock, open } = newWorld()
    let table = await open()
    await put(table, 500)
    await table.close()
    clock.ms += 20 * HOUR
    table = await open()
    const before = written(await table.stats())
    await put(table, 300)
    clock.ms += HOUR / 2
    const stats = await table.stats()
    const { lastHour, lastDay, bytesPerDay } = stats.wear
    expect(lastDay.ms).toBe(20.5 * HOUR)
    // Some hundred bytes of the first manifest were there before the first line.
    expect(written(stats) - lastDay.bytes).toBeLessThan(1000)
    expect(lastHour.ms).toBe(HOUR)
    expect(lastHour.bytes).toBeGreaterThanOrEqual(written(stats) - before)
    expect(lastHour.bytes).toBeLessThan(lastDay.bytes / 1.5)
    expect(bytesPerDay).toBeCloseTo((lastDay.bytes / 20.5) * 24, 0)
    await table.close()

    clock.ms += 23.4 * HOUR
    const reader = await open({ readOnly: true })
    const idle = (await reader.stats()).wear
    expect(idle.lastHour).toEqual({ bytes: 0, ms: HOUR })
    expect(idle.lastDay.ms).toBe(24 * HOUR)
    expect(idle.lastDay.bytes).toBeGreaterThanOrEqual(written(stats) - before)
    expect(idle.bytesPerDay).toBe(idle.lastDay.bytes)
    await reader.close()
  })

  test('is known without an event log for the time of this open alone', async () => {
    const { disk, clock, open } = newWorld()
    const options = { eventLog: false }
    let table = await open(options)
    await put(table, 500)
    await table.close()
    clock.ms += HOUR
    table = await open(options)
    await put(table, 10)
    clock.ms += HOUR / 4
    const { lastDay } = (await table.stats()).wear
    expect(lastDay.ms).toBe(HOUR / 4)
    expect(lastDay.bytes).toBeGreaterThan(0)
    await table.close()
    const reader = await open({ readOnly: true })
    expect((await reader.stats()).wear.bytesPerDay).toBeUndefined()
    await reader.close()
    expect(disk.files().filter(path => path.includes('LOG'))).toEqual([])
  })

  test('is in the metrics, as far as it is known', async () => {
    const { clock, open } = newWorld()
    const table = await open()
    const names = (stats: TableStats): string[] => metricsOfStats(stats).map(({ name }) => name)
    const perDay = (stats: TableStats): unknown =>
      metricsOfStats(stats).find(({ name }) => name === 'flashtable_written_bytes_per_day')?.value
    // Monitors want all names from the start.
    expect(perDay(await table.stats())).toBe(0)
    clock.ms += HOUR
    const stats = await table.stats()
    expect(perDay(stats)).toBe(stats.wear.bytesPerDay)
    expect(names(stats)).toEqual(
      expect.arrayContaining(['flashtable_written_last_hour_bytes', 'flashtable_written_last_day_bytes']),
    )
    expect(names(stats)).not.toContain('flashtable_budget_used_bytes')
    await table.close()
  })
})
