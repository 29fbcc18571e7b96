import { expect, test } from 'vitest'
import type { LoggedEvent } from '../../../../src/event-log/event.js'
import type { TableStats } from '../../../../src/index.js'
import { ratesOf } from '../../../../tools/cli/top/rates.js'
import type { Sample } from '../../../../tools/cli/top/sample.js'
import { screenOf } from '../../../../tools/cli/top/screen.js'

const START = Date.parse('2026-11-29T03:00:00.000Z')

function eventAt(seconds: number, event: LoggedEvent['event'], wal: number): LoggedEvent {
  const time = new Date(START + 1000 * seconds).toISOString()
  return {
    time,
    event,
    files: 1,
    put: { records: 10, bytes: 160 },
    written: { wal, buckets: 0, manifest: 0, events: 0 },
  }
}

function sampleAt(seconds: number, next: number, more: Partial<Sample> = {}): Sample {
  const stats = {
    records: next,
    recordsAreExact: true,
    recordBytesPut: 16 * next,
    levels: [3, 0, 45],
    bytesOnDisk: 4096,
    logBytesOnDisk: 0,
    spareBytesOnDisk: 0,
    memtable: { operations: 5, capacity: 10, sealed: 0 },
    runs: { count: 0, operations: 7 },
    sequence: { next, synced: next },
    wear: {
      lastHour: { bytes: 1024, ms: 3_600_000 },
      lastDay: { bytes: 2048, ms: 7_200_000 },
      bytesPerDay: 24_576,
    },
    budget: undefined,
    poisoned: undefined,
  } as unknown as TableStats
  return {
    timeMs: START + 1000 * seconds,
    stats,
    writtenBytes: 16_000,
    writer: { pid: 7, residentBytes: 2 ** 20, processorMs: 100 * seconds },
    growing: [],
    events: [],
    tookMs: 12,
    ...more,
  }
}

test('records a second are those of the last ten seconds, processor time too', () => {
  const samples = [sampleAt(0, 0), sampleAt(5, 1000), sampleAt(10, 3000), sampleAt(15, 8000)]
  expect(ratesOf(samples)).toMatchObject({ recordsPerSecond: 700, processorShare: 0.1 })
})

test('a first look knows no rates, and a new writer none of the old one', () => {
  expect(ratesOf([sampleAt(0, 5)])).toEqual({
    recordsPerSecond: undefined,
    bytesPerSecond: undefined,
    processorShare: undefined,
  })
  const other = sampleAt(5, 5, { writer: { pid: 8, processorMs: 1 } })
  expect(ratesOf([sampleAt(0, 5), other]).processorShare).toBeUndefined()
})

test('bytes a second are those since the last event before the last minute', () => {
  const events = [eventAt(0, 'flush', 1000), eventAt(30, 'flush', 4000), eventAt(95, 'flush', 10_000)]
  // At 100 s the minute began at 40 s; what had been written by then is known from the event at 30 s.
  expect(ratesOf([sampleAt(100, 0, { events })]).bytesPerSecond).toBe((16_000 - 4000) / 60)
  // Where the table is younger than a minute: since its first event.
  expect(ratesOf([sampleAt(50, 0, { events })]).bytesPerSecond).toBe((16_000 - 1000) / 50)
})

test('the screen fits the terminal, whatever its size', () => {
  const events = [
    eventAt(1, 'open', 1),
    eventAt(2, 'seal', 2),
    eventAt(3, 'flush', 3),
    eventAt(4, 'merge', 4),
  ]
  for (const [columns, rows] of [
    [120, 40],
    [80, 24],
    [20, 5],
    [1, 1],
  ] as const) {
    const lines = screenOf('table', [sampleAt(5, 12_345, { events })], { columns, rows })
    expect(lines.length).toBeLessThanOrEqual(rows)
    for (const line of lines) expect(line.length).toBeLessThanOrEqual(columns)
  }
})

test('the screen tells the newest events first, without seals, and what there is of each level', () => {
  const events = [
    eventAt(1, 'open', 1),
    eventAt(2, 'seal', 2),
    eventAt(3, 'flush', 3),
    eventAt(4, 'merge', 4),
  ]
  const growing = [{ name: '000009.bucket', bytes: 2048 }]
  const lines = screenOf('table', [sampleAt(5, 12_345, { events, growing })], { columns: 160, rows: 60 })
  const text = lines.join('\n')
  expect(lines[0]).toBe('table  03:00:05 UTC  writer: process 7')
  expect(text).toContain('records     12,345\n')
  expect(text).toContain('in the log  12 operations that are in no bucket file yet')
  expect(text).toContain('wear        1.0 KiB in the last hour, 24.0 KiB a day (from the last 2.0 h)')
  expect(text).toContain('files       level 0    3 ###')
  expect(text).toMatch(/level 2 {3}45 #{40}\+/)
  expect(text).toContain('being made  000009.bucket, 2.0 KiB so far')
  expect(text).not.toContain('seal ')
  expect(text.indexOf('merge')).toBeLessThan(text.indexOf('flush'))
})

test('names and messages cannot act on the terminal', () => {
  const sample = sampleAt(5, 1)
  const poisoned = { ...sample, stats: { ...sample.stats, poisoned: 'disk\u001b[2J gone' } }
  const lines = screenOf('a\u001b]0;x\u0007b', [poisoned], { columns: 200, rows: 60 })
  // oxlint-disable-next-line no-control-regex
  expect(lines.join('')).not.toMatch(/[\u0000-\u001f]/)
})
