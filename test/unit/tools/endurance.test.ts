import { describe, expect, test } from 'vitest'
import { parseEndurance, wearText } from '../../../tools/cli/endurance.js'
import { UsageError } from '../../../tools/cli/usage.js'
import type { TableStats, Wear } from '../../../src/index.js'

describe('the endurance of a device', () => {
  test.each([
    ['150TB', 150e12],
    ['150 TB', 150e12],
    ['1.5PB', 1.5e15],
    ['5000.5KB', 5_000_500],
    ['2000KiB', 2_048_000],
    ['3pib', 3 * 2 ** 50],
    ['7GiB', 7 * 2 ** 30],
    ['10MB', 1e7],
    ['100T', 1e14],
    ['123456789', 123_456_789],
    ['123456789B', 123_456_789],
  ])('%s', (text, bytes) => {
    expect(parseEndurance(text)).toEqual({ bytes, text })
  })

  test.each(['', 'TB', '150XB', '-1TB', '1e3', '150TBW', '0', '0.1', '150', '1.TB', '1,5TB', '5iB'])(
    'is refused: %j',
    text => {
      expect(() => parseEndurance(text)).toThrow(UsageError)
    },
  )
})

describe('the write rate as text', () => {
  const HOUR = 3_600_000
  const text = (wear: Wear, tbw?: string) =>
    wearText({ wear } as TableStats, tbw === undefined ? undefined : parseEndurance(tbw)).map(row =>
      row.join(': '),
    )

  test('of whole spans, with the life of a device', () => {
    const wear = {
      lastHour: { bytes: 2 ** 30, ms: HOUR },
      lastDay: { bytes: 10e9, ms: 24 * HOUR },
      bytesPerDay: 10e9,
    }
    expect(text(wear, '150TB')).toEqual([
      'write rate: 1.0 GiB in the last hour, 9.3 GiB in the last day',
      'projected life: 41.1 years: of a new device that endures 150TB, at this rate, by this table alone',
    ])
    expect(text(wear, '100GB')[1]).toContain('10 days')
  })

  test('of spans that are not known whole, and of an idle table', () => {
    const span = { bytes: 1024, ms: HOUR / 2 }
    expect(text({ lastHour: span, lastDay: span, bytesPerDay: 49_152 })).toEqual([
      'write rate: 2.0 KiB an hour (from the last 30.0 min), 48.0 KiB a day (from the last 30.0 min)',
    ])
    const idle = { bytes: 0, ms: 24 * HOUR }
    expect(text({ lastHour: idle, lastDay: idle, bytesPerDay: 0 }, '1TB')[1]).toContain('without end')
    const young = { bytes: 1024, ms: 20_000 }
    const soon = 'not known yet: 1.0 KiB in the 20.0 s that are known'
    expect(text({ lastHour: young, lastDay: young, bytesPerDay: 4_423_680 }, '1TB')).toEqual([
      `write rate: ${soon}`,
      `projected life: ${soon}`,
    ])
    const unknown = { bytes: 0, ms: 0 }
    expect(text({ lastHour: unknown, lastDay: unknown, bytesPerDay: undefined }, '1TB')).toEqual([
      'projected life: not known: there is no event log',
    ])
  })
})
