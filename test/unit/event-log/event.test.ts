import { describe, expect, test } from 'vitest'
import { eventLine, joined, parseEventLine, totalBytes } from '../../../src/event-log/event.js'

const TOTALS = {
  files: 11,
  put: { records: 100, bytes: 1600 },
  written: { wal: 1, buckets: 2, manifest: 3, events: 4 },
}
const TIME_MS = Date.UTC(2026, 10, 29, 2, 44, 12, 123)

describe('a line', () => {
  test('has this form, which programs read', () => {
    const noted = {
      event: 'flush',
      reason: 'full',
      inputFiles: 8,
      records: 1234,
      bytes: 5678,
      ms: 12.345,
    } as const
    expect(eventLine(TIME_MS, noted, TOTALS)).toBe(
      '{"time":"2026-11-29T02:44:12.123Z","event":"flush","reason":"full","inputFiles":8,"records":1234,"bytes":5678,' +
        '"ms":12.3,"files":11,"put":{"records":100,"bytes":1600},' +
        '"written":{"wal":1,"buckets":2,"manifest":3,"events":4}}\n',
    )
  })

  test('leaves out what makes no sense, and is read again as it was', () => {
    const line = eventLine(TIME_MS, { event: 'mark' }, TOTALS)
    expect(line).not.toMatch(/reason|inputFiles|records":\d+,"bytes":\d+,"ms|times/)
    expect(parseEventLine(line)).toEqual({ time: '2026-11-29T02:44:12.123Z', event: 'mark', ...TOTALS })
  })

  test('is short, whatever the failure says', () => {
    const line = eventLine(TIME_MS, { event: 'poisoned', reason: '\n'.repeat(100_000) }, TOTALS)
    expect(line.length).toBeLessThan(2000)
    expect(line.trimEnd()).not.toContain('\n')
  })
})

describe('what is no line', () => {
  const line = (change: object): string =>
    JSON.stringify({ time: '2026-11-29T02:44:12.123Z', event: 'mark', ...TOTALS, ...change })

  test.each([
    ['nothing', ''],
    ['a torn one', eventLine(TIME_MS, { event: 'mark' }, TOTALS).slice(0, 60)],
    ['another kind of JSON', '[1]'],
    ['null', 'null'],
    ['no time', line({ time: 'yesterday' })],
    ['a time that is none', line({ time: '2026-99-29T02:44:12.123Z' })],
    ['an event that nobody knows', line({ event: 'constructor' })],
    ['a negative number', line({ records: -1 })],
    ['text for a number', line({ bytes: '12' })],
    ['a reason that is no text', line({ reason: 5 })],
    ['no totals', line({ written: undefined })],
    ['totals with a hole', line({ written: { wal: 1, buckets: 2, manifest: 3 } })],
  ])('is skipped: %s', (_, text) => {
    expect(parseEventLine(text)).toBeUndefined()
  })

  test('unless it only has more in it', () => {
    expect(parseEventLine(line({ more: 1 }))).toEqual({
      time: '2026-11-29T02:44:12.123Z',
      event: 'mark',
      ...TOTALS,
    })
  })
})

test('events of one kind add up', () => {
  const one = { event: 'seal', records: 5, ms: 1 } as const
  const two = joined(one, { ...one, records: 6 })
  expect(joined(two, { ...one, bytes: 3 })).toEqual({ event: 'seal', records: 16, ms: 3, bytes: 3, times: 3 })
})

test('all bytes written count, those of the log itself too', () => {
  expect(totalBytes(TOTALS.written)).toBe(10)
})

test('latencies are read again, and what is none leaves the rest of the line', () => {
  const durations = { count: 3, minUs: 1, meanUs: 1.26, maxUs: 2, p50Us: 1, p90Us: 2, p99Us: 2, p999Us: 2 }
  const latency = { puts: durations, commits: durations, syncs: durations, lookups: durations }
  const totals = {
    files: 1,
    put: { records: 1, bytes: 16 },
    written: { wal: 1, buckets: 0, manifest: 0, events: 0 },
  }
  const line = eventLine(0, { event: 'close', latency }, totals)
  const rounded = { ...durations, meanUs: 1.3 }
  expect(parseEventLine(line)?.latency).toEqual({
    puts: rounded,
    commits: rounded,
    syncs: rounded,
    lookups: rounded,
  })
  const damaged = parseEventLine(line.replace('"count":3', '"count":"3"'))
  expect(damaged).toMatchObject({ event: 'close', files: 1 })
  expect(damaged).not.toHaveProperty('latency')
})
