/** The option `writeBudget`: merges wait for it, and nothing else does. On a simulated disk and a clock that the test moves. */
import { describe, expect, test } from 'vitest'
import { EventLogReader } from '../../src/event-log/reader.js'
import { FlashTable, struct, type TableOptions, type TableStats } from '../../src/index.js'
import { metricsOfStats } from '../../src/metrics.js'
import { resolveOptions } from '../../src/options/options.js'
import { simulatedEnvironment } from '../support/simulated-environment.js'
import { SimulatedFileSystem } from '../support/simulated-file-system.js'
import { until } from '../support/until.js'

const HOUR = 3_600_000
const OPTIONS = {
  keyEncoding: 'u32',
  valueEncoding: struct({ id: 'u32' }),
  bufferBytes: 1024,
  walBytes: 8192,
  fanout: 2,
  syncIntervalMs: Infinity,
}
const MEMTABLE_RECORDS = 128

type Table = FlashTable<'u32', ReturnType<typeof struct<{ id: 'u32' }>>>

/** A disk and a clock. A wait of a minute and more ends when the clock has gone on so far. */
function newWorld() {
  const disk = new SimulatedFileSystem()
  const clock = { ms: 0, waits: [] as { untilMs: number; resolve: () => void }[] }
  const environment = {
    ...simulatedEnvironment(disk),
    runsPerFlush: 1,
    date: () => Date.UTC(2026, 0, 1) + clock.ms,
    now: () => clock.ms,
    wait: (ms: number, signal: AbortSignal): Promise<void> =>
      ms < 60_000
        ? new Promise(resolve => void setImmediate(resolve))
        : new Promise(resolve => {
            clock.waits.push({ untilMs: clock.ms + ms, resolve })
            signal.addEventListener('abort', () => resolve())
          }),
  }
  return {
    disk,
    open: (options: TableOptions = {}) =>
      FlashTable.openIn('/table', { ...OPTIONS, ...options }, environment) as unknown as Promise<Table>,
    async pass(ms: number): Promise<void> {
      clock.ms += ms
      for (const { untilMs, resolve } of clock.waits) if (untilMs <= clock.ms) resolve()
      clock.waits = clock.waits.filter(({ untilMs }) => untilMs > clock.ms)
      await settle(disk)
    },
  }
}

/** Lets what runs in the background come to rest. */
async function settle(disk: SimulatedFileSystem): Promise<void> {
  for (let quiet = 0; quiet < 4;) {
    const { calls } = disk
    await new Promise(resolve => void setImmediate(resolve))
    quiet = disk.calls === calls ? quiet + 1 : 0
  }
}

/** Puts memtables, one after another, each with other keys. */
async function putMemtables(table: Table, disk: SimulatedFileSystem, count: number): Promise<void> {
  const from = (await table.stats()).recordsPut
  for (let i = 0; i < count; i++) {
    const first = from + i * MEMTABLE_RECORDS
    const key = Uint32Array.from({ length: MEMTABLE_RECORDS }, (_, row) => first + row)
    await table.putColumns({ key, id: key })
    await settle(disk)
  }
}

async function eventsOn(disk: SimulatedFileSystem): Promise<string[]> {
  const reader = new EventLogReader(disk, '/table')
  const events = await reader.readNew()
  await reader.close()
  return events.map(({ event, reason }) => `${event} ${reason ?? ''}`)
}

const mergesOn = (events: readonly string[]): number =>
  events.filter(event => event.startsWith('merge')).length
const filesOf = ({ files }: TableStats): number => files.length

describe('a write budget', () => {
  test('lets merges wait, and files gather; puts and flushes go on, without a delay', async () => {
    const { disk, open } = newWorld()
    const table = await open({ writeBudget: { bytesPerDay: 1 } })
    await putMemtables(table, disk, 60)
    const stats = await table.stats()
    expect(filesOf(stats)).toBeGreaterThan(50)
    expect(stats.budget).toEqual({ bytesPerDay: 1, usedBytes: expect.any(Number) as number, waiting: true })
    expect(stats.budget!.usedBytes).toBeGreaterThan(100_000)
    expect([stats.mergeDebt, stats.delays.count]).toEqual([0, 0])
    expect([stats.waitingForSpace, stats.waitingForResources]).toEqual([false, false])
    expect(await table.count()).toBe(60 * MEMTABLE_RECORDS)
    const waiting = metricsOfStats(stats).find(({ name }) => name === 'flashtable_waiting_for_budget')
    expect(waiting?.value).toBe(1)
    await table.close()
    const events = await eventsOn(disk)
    expect(mergesOn(events)).toBe(0)
    expect(events.filter(event => event.startsWith('wait'))).toEqual(['wait budget'])
  })

  test('lets them go on when it has drained, and their files are no debt then', async () => {
    const { disk, open, pass } = newWorld()
    // Nothing is written in the first ten hours: that saves up no more than a day.
    const table = await open({ writeBudget: { bytesPerDay: 1_000_000 } })
    await pass(10 * HOUR)
    await putMemtables(table, disk, 100)
    const before = await table.stats()
    expect(before.budget).toMatchObject({ waiting: true })
    const files = filesOf(before)
    expect(files).toBeGreaterThan(30)
    // What the debt is while merges run again.
    const debts: Promise<number>[] = []
    disk.onCall = ({ op, path }) => {
      if (op === 'create' && path.endsWith('.bucket'))
        debts.push(table.stats().then(({ mergeDebt }) => mergeDebt))
    }
    for (let hour = 0; hour < 100 && filesOf(await table.stats()) === files; hour++) await pass(HOUR)
    const after = await table.stats()
    expect(filesOf(after)).toBeLessThan(files)
    disk.onCall = undefined
    expect(new Set(await Promise.all(debts))).toEqual(new Set([0]))
    await table.close()
  })

  test('is not renewed by an open', async () => {
    const { disk, open, pass } = newWorld()
    const options = { writeBudget: { bytesPerDay: 50_000 } }
    let table = await open(options)
    await putMemtables(table, disk, 40)
    const { budget } = await table.stats()
    expect(budget!.usedBytes).toBeGreaterThan(50_000)
    const files = filesOf(await table.stats())
    for (let life = 0; life < 3; life++) {
      await table.close()
      await pass(60_000)
      table = await open(options)
      await settle(disk)
      const stats = await table.stats()
      expect(stats.budget!.usedBytes).toBeGreaterThan(budget!.usedBytes * 0.9)
      expect(stats.budget!.waiting).toBe(true)
      expect(filesOf(stats)).toBeGreaterThanOrEqual(files)
    }
    await table.close()
    // After a day in which nothing was written it is.
    await pass(25 * HOUR)
    table = await open(options)
    await until('it has merged', async () => filesOf(await table.stats()) < files)
    await table.close()
  })

  test('does not hold up compact(), nor what drops hidden files', async () => {
    const { disk, open } = newWorld()
    const table = await open({ writeBudget: { bytesPerDay: 1 } })
    await putMemtables(table, disk, 20)
    await table.clear({ lt: 10 * MEMTABLE_RECORDS })
    await settle(disk)
    const stats = await table.stats()
    expect(filesOf(stats)).toBeLessThan(12)
    expect(stats.budget!.waiting).toBe(true)
    await table.compact()
    const after = await table.stats()
    expect(filesOf(after)).toBe(1)
    expect(after.budget!.waiting).toBe(false)
    expect(await table.count()).toBe(10 * MEMTABLE_RECORDS)
    await table.close()
    const events = await eventsOn(disk)
    expect(events).toContain('drop hidden')
    expect(mergesOn(events)).toBe(0)
  })

  test('is none without the option: merges run', async () => {
    const { disk, open } = newWorld()
    const table = await open()
    await putMemtables(table, disk, 40)
    const stats = await table.stats()
    expect(stats.budget).toBeUndefined()
    expect(filesOf(stats)).toBeLessThan(10)
    await table.close()
  })

  test('is refused where it is no budget', () => {
    const refused = (writeBudget: unknown): unknown => {
      try {
        return resolveOptions({ writeBudget })
      } catch (error) {
        return (error as { code: string }).code
      }
    }
    for (const wrong of [5, null, [], {}, { bytesPerDay: '1GB' }, { bytesPerDay: 0 }, { bytesPerDay: NaN }])
      expect(refused(wrong)).toBe('FLASHTABLE_INVALID_OPTION')
    expect(refused({ bytesPerDay: 1, bytesPerHour: 1 })).toBe('FLASHTABLE_INVALID_OPTION')
    expect(refused({ bytesPerDay: 1.5 })).toMatchObject({ writeBudget: { bytesPerDay: 1.5 } })
  })
})
