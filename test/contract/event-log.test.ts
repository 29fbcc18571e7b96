/** The event log of a table: what is in it, that nothing depends on it, and that nobody else's file is touched. */
import { mkdir, readFile, readdir, rename, rm, symlink, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import {
  FlashTable,
  readEventLog,
  repairTable,
  verifyTable,
  type LoggedEvent,
  type TableOptions,
} from '../../src/index.js'
import { simulatedEnvironment } from '../support/simulated-environment.js'
import { SimulatedFileSystem } from '../support/simulated-file-system.js'
import { EventLogReader } from '../../src/event-log/reader.js'
import { testTables, fingerprintColumns, FINGERPRINT, SMALL } from '../support/tables.js'

const tables = testTables()

async function eventsIn(location: string): Promise<LoggedEvent[]> {
  const events: LoggedEvent[] = []
  for await (const event of readEventLog(location)) events.push(event)
  return events
}

const namesIn = async (location: string): Promise<string[]> =>
  (await eventsIn(location)).map(({ event, reason }) => (reason === undefined ? event : `${event} ${reason}`))

const spread = (i: number): bigint => BigInt(i) * 7919n

/** Puts that make the table seal, flush and merge. */
async function fill(table: Awaited<ReturnType<typeof tables.fingerprints>>): Promise<void> {
  for (let i = 0; i < 20; i++) await table.putColumns(fingerprintColumns(i * 100, i * 100 + 100, spread))
}

describe('the event log', () => {
  test('tells of a life: opens, seals, flushes, merges, clears, the close', async () => {
    const table = await tables.fingerprints()
    await fill(table)
    await table.compact()
    await table.clear({ gte: 5n, lt: 9n })
    await table.clear()
    await table.close()
    const events = await eventsIn(table.location)
    const kinds = new Set(events.map(({ event }) => event))
    expect([...kinds].toSorted()).toEqual(['clear', 'close', 'compact', 'flush', 'merge', 'open', 'seal'])
    expect(await namesIn(table.location)).toEqual(
      expect.arrayContaining([
        'open created',
        'flush full',
        'merge level-full',
        'clear range',
        'clear whole',
      ]),
    )
    expect(events[0]!.event).toBe('open')
    expect(events.at(-1)!.event).toBe('close')
    const compact = events.find(({ event }) => event === 'compact')!
    expect(compact).toMatchObject({ records: 2000, files: 1, put: { records: 2000, bytes: 32_000 } })
    expect(compact.bytes).toBeGreaterThan(0)
    const times = events.map(({ time }) => time)
    expect(times).toEqual(times.toSorted())
  })

  test('has the lifetime counters in each line, and they count it', async () => {
    const table = await tables.fingerprints()
    await fill(table)
    await table.close()
    const size = (await readFile(join(table.location, 'LOG.jsonl'))).byteLength
    const again = await tables.open(table.location)
    const { bytesWritten, writeAmplification, recordBytesPut } = await again.stats()
    expect(bytesWritten.events).toBe(size)
    expect(writeAmplification * recordBytesPut).toBeCloseTo(
      bytesWritten.wal + bytesWritten.buckets + bytesWritten.manifest + size,
      6,
    )
    await again.close()
    const events = await eventsIn(table.location)
    const last = events.filter(({ event }) => event === 'close').at(-1)!
    expect(last.written).toEqual(bytesWritten)
    const totals = events.map(({ written: { wal, buckets, manifest } }) => wal + buckets + manifest)
    expect(totals).toEqual(totals.toSorted((a, b) => a - b))
  })

  test('tells of a recovery, and how the life before has ended', async () => {
    const disk = new SimulatedFileSystem()
    const open = (): Promise<FlashTable> =>
      FlashTable.openIn('/table', { keyEncoding: 'u32' }, simulatedEnvironment(disk))
    let table = await open()
    await table.put(1 as never, undefined as never)
    await table.close()
    table = await open()
    await table.put(2 as never, undefined as never)
    disk.crashNow()
    const next = disk.clone()
    const after = await FlashTable.openIn('/table', {}, simulatedEnvironment(next))
    await after.close()
    const reader = new EventLogReader(next, '/table')
    const recoveries = (await reader.readNew()).filter(({ event }) => event === 'recovery')
    await reader.close()
    expect(recoveries).toMatchObject([
      { reason: 'after-close', records: 1 },
      { reason: 'after-crash', records: 2, files: 1 },
    ])
    expect(recoveries[0]).not.toHaveProperty('bytes')
    expect(recoveries[1]!.bytes).toBeGreaterThan(0)
  })

  test('tells of a bulk load', async () => {
    const path = tables.path()
    const source = [fingerprintColumns(0, 3000, spread)]
    await (await FlashTable.bulkLoad(path, FINGERPRINT, source)).close()
    const events = await eventsIn(path)
    expect(events.map(({ event }) => event)).toEqual(['open', 'bulk-load', 'close'])
    expect(events[1]).toMatchObject({ records: 3000, files: 1, put: { records: 3000 } })
    expect(events[1]!.bytes).toBeGreaterThan(3000)
  })

  test('says why all writes were stopped', async () => {
    const disk = new SimulatedFileSystem()
    const options = { keyEncoding: 'u32', bufferBytes: 1024 }
    const table = await FlashTable.openIn('/table', options, simulatedEnvironment(disk))
    disk.failAt(({ op, path }) => op === 'sync' && path.endsWith('.wal'), 'EIO')
    await expect(table.put(1 as never, undefined as never, { sync: true })).rejects.toThrow()
    await table.close().catch(() => {})
    const reader = new EventLogReader(disk, '/table')
    const last = (await reader.readNew()).at(-1)
    await reader.close()
    expect(last).toMatchObject({ event: 'poisoned', reason: expect.stringContaining('EIO') as string })
  })

  test('says once that a full disk is waited for, not at each try', async () => {
    const disk = new SimulatedFileSystem()
    const options = { keyEncoding: 'u32', bufferBytes: 1024, walBytes: 8192 }
    const environment = { ...simulatedEnvironment(disk), runsPerFlush: 1 }
    const table = await FlashTable.openIn('/table', options, environment)
    let refused = 0
    disk.onCall = ({ op, path }) => {
      if (op === 'create' && path.endsWith('.bucket') && refused++ < 3)
        throw Object.assign(new Error('ENOSPC: no space'), { code: 'ENOSPC' })
    }
    for (let i = 0; i < 600; i++) await table.put(i as never, undefined as never)
    await table.close()
    expect(refused).toBeGreaterThan(3)
    const reader = new EventLogReader(disk, '/table')
    const events = await reader.readNew()
    await reader.close()
    expect(events.filter(({ event }) => event === 'wait')).toMatchObject([{ reason: 'space' }])
  })

  test('is not written where it is switched off, nor by a reader', async () => {
    const options = { ...SMALL, eventLog: false }
    const table = await tables.fingerprints(options as TableOptions)
    await fill(table)
    await table.close()
    const reader = await tables.open(table.location, { readOnly: true, eventLog: true })
    expect((await reader.stats()).bytesWritten.events).toBe(0)
    await reader.close()
    expect((await readdir(table.location)).filter(name => name.startsWith('LOG'))).toEqual([])
    expect(await eventsIn(table.location)).toEqual([])
  })

  test('of a table that was moved away is not written to where it was', async () => {
    const table = await tables.fingerprints()
    await table.put(1n, { time: 1, flags: 1, id: 1 })
    const aside = `${table.location}-aside`
    await rename(table.location, aside)
    await mkdir(table.location)
    await expect(table.close()).rejects.toMatchObject({ code: 'FLASHTABLE_POISONED' })
    expect(await readdir(table.location)).toEqual([])
    await rm(aside, { recursive: true })
  })
})

describe('nothing depends on the event log:', () => {
  const spoilt: readonly [string, (path: string) => Promise<unknown>][] = [
    ['it is gone', path => rm(path)],
    ['it is torn', path => truncate(path, 70)],
    ['it is rubbish', path => writeFile(path, Buffer.alloc(100_000, 0xff))],
    ['it is a directory', async path => (await rm(path), mkdir(path))],
    ['it is a link to nothing', async path => (await rm(path), symlink('nowhere', path))],
    ['it is a link to a file', async path => (await rename(path, `${path}.x`), symlink(`${path}.x`, path))],
  ]
  test.each(spoilt)('a table opens, takes puts, and is whole where %s', async (_, spoil) => {
    const table = await tables.fingerprints()
    await fill(table)
    await table.close()
    const path = join(table.location, 'LOG.jsonl')
    await spoil(path)
    const aside = await readFile(`${path}.x`).catch(() => undefined)
    const again = await tables.reopen(table)
    await again.put(1n, { time: 1, flags: 1, id: 1 })
    expect(await again.count()).toBe(2001)
    await again.close()
    expect((await verifyTable(table.location)).problems).toEqual([])
    await eventsIn(table.location)
    expect(await readFile(`${path}.x`).catch(() => undefined)).toEqual(aside)
  })

  test('copies and repaired tables begin their own, and it is no orphan', async () => {
    const table = await tables.fingerprints()
    await fill(table)
    const copy = tables.path()
    await table.checkpoint(copy)
    await table.close()
    expect((await readdir(copy)).filter(name => name.startsWith('LOG'))).toEqual([])
    expect((await verifyTable(table.location)).orphans).toEqual([])
    const repaired = tables.path()
    await repairTable(table.location, repaired)
    expect((await readdir(repaired)).filter(name => name.startsWith('LOG'))).toEqual([])
  })
})

describe('readEventLog', () => {
  test('refuses what is no location, and rejects where there is no table', async () => {
    expect(() => readEventLog(5 as never)).toThrow(TypeError)
    // @ts-expect-error It takes one argument.
    expect(() => readEventLog('x', {})).toThrow(TypeError)
    await expect(eventsIn(tables.path())).rejects.toMatchObject({ code: 'FLASHTABLE_NOT_FOUND' })
  })

  test('reads beside the writer', async () => {
    const table = await tables.fingerprints()
    const beside = await eventsIn(table.location)
    expect(beside.length).toBeLessThanOrEqual(1)
    await table.close()
    expect(await namesIn(table.location)).toEqual(['open created', 'close'])
  })
})
