/** The progress bar: what it shows, and when. */
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { progressLine, withProgress } from '../../../../tools/cli/progress.js'

describe('a line of progress', () => {
  test('fits every terminal, and says the numbers where there is no room for a bar', () => {
    expect(progressLine('importing', 42, 3, 60)).toBe(
      'importing [###############.....................]  42 %, 3 s',
    )
    expect(progressLine('importing', 100, 3, 25)).toBe('importing 100 %, 3 s')
    for (let columns = 0; columns < 120; columns++) {
      for (const percent of [0, 1, 50, 99, 100]) {
        const line = progressLine('verifying', percent, 12_345, columns)
        expect(line.length).toBeLessThanOrEqual(Math.max(0, columns - 1))
        if (columns > 60) expect(line).toContain(`${percent} %`)
      }
    }
  })
})

describe('progress', () => {
  let now = 0
  let written = ''
  const terminal = { isTTY: process.stderr.isTTY, columns: process.stderr.columns }
  const TERM = process.env['TERM']

  beforeEach(() => {
    now = 1000
    written = ''
    Object.assign(process.stderr, { isTTY: true, columns: 60 })
    process.env['TERM'] = 'xterm'
    vi.spyOn(performance, 'now').mockImplementation(() => now)
    vi.spyOn(process.stderr, 'write').mockImplementation(text => {
      written += String(text)
      return true
    })
  })
  afterEach(() => {
    vi.restoreAllMocks()
    Object.assign(process.stderr, terminal)
    if (TERM === undefined) delete process.env['TERM']
    else process.env['TERM'] = TERM
  })

  /** The percents shown, in their order. */
  function shown(): number[] {
    return [...written.matchAll(/(\d+) %/g)].map(match => Number(match[1]))
  }

  test('never goes back, whatever it is told, and shows 100 once, at the end', async () => {
    await withProgress('testing', async update => {
      for (const [done, total] of [
        [0, 0],
        [1, 10],
        [9, 10],
        [9, 20],
        [20, 20],
        [25, 20],
        [30, 100],
        [100, 100],
      ] as const) {
        now += 1000
        update(done, total)
      }
    })
    expect(shown()).toEqual([0, 10, 90, 90, 99, 99, 99, 99, 100])
    expect(written.endsWith('\n')).toBe(true)
    expect(written.match(/\n/g)).toHaveLength(1)
  })

  test('of work that fails ends its line where it stood', async () => {
    const failing = withProgress('testing', async update => {
      update(3, 10)
      throw new Error('stopped')
    })
    await expect(failing).rejects.toThrow('stopped')
    expect(shown()).toEqual([30])
    expect(written.endsWith('\n')).toBe(true)
  })

  test('is drawn ten times a second at most', async () => {
    await withProgress('testing', async update => {
      for (let i = 0; i < 1000; i++, now++) update(i, 1000)
    })
    expect(shown()).toHaveLength(11)
  })

  test('of work that tells of none shows nothing', async () => {
    await withProgress('testing', async () => {})
    expect(written).toBe('')
  })

  test('is not shown in a pipe, nor on a terminal that cannot go back', async () => {
    Object.assign(process.stderr, { isTTY: false })
    await withProgress('testing', async update => update(1, 2))
    Object.assign(process.stderr, { isTTY: true })
    process.env['TERM'] = 'dumb'
    await withProgress('testing', async update => update(1, 2))
    expect(written).toBe('')
  })

  test('uses no control character but the carriage return', async () => {
    await withProgress('testing', async update => {
      for (let i = 0; i < 10; i++, now += 200) update(i, 10)
    })
    expect(written.replaceAll('\r', '').replace(/\n$/, '')).not.toMatch(/\p{Cc}/u)
  })
})
