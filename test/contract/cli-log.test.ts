/** `flashtable log`: the events of a table in columns, as JSON lines, and as they happen. */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { eventLine } from '../../src/event-log/event.js'
import { FlashTable } from '../../src/index.js'
import { until } from '../support/until.js'
import { ENCODINGS, imageOf, testCli } from './cli-tables.js'

const { cli, freshPath, smallTable } = testCli()

const TOTALS = {
  files: 11,
  put: { records: 1_000_000, bytes: 16_000_000 },
  written: { wal: 10_000_000, buckets: 10_000_000, manifest: 1000, events: 0 },
}

/** A table whose event log is known. */
async function toldTable(): Promise<string> {
  const path = await smallTable()
  const lines = [
    eventLine(0, { event: 'open' }, TOTALS),
    eventLine(
      1000,
      { event: 'flush', reason: 'full', inputFiles: 8, records: 1_234_567, bytes: 5678, ms: 12.34 },
      TOTALS,
    ),
    eventLine(
      61_000,
      { event: 'merge', reason: 'level-full', inputFiles: 16, records: 9, bytes: 2 ** 31, ms: 75_000 },
      TOTALS,
    ),
    eventLine(62_000, { event: 'seal', records: 5, ms: 3, times: 1200 }, TOTALS),
  ]
  await writeFile(join(path, 'LOG.jsonl'), lines.join(''))
  return path
}

describe('flashtable log', () => {
  test('prints events in columns, and changes nothing', async () => {
    const path = await toldTable()
    const before = await imageOf(path)
    const { code, stdout } = await cli.run('log', path)
    expect(code).toBe(0)
    expect(stdout.split('\n')).toEqual([
      'time                  event       inputs         records       bytes      took   files     written  amplification  reason',
      '1970-01-01T00:00:00Z  open                                                          11    19.1 MiB           1.25',
      '1970-01-01T00:00:01Z  flush            8       1,234,567     5.5 KiB   12.3 ms      11    19.1 MiB           1.25  full',
      '1970-01-01T00:01:01Z  merge           16               9     2.0 GiB   1.3 min      11    19.1 MiB           1.25  level-full',
      '1970-01-01T00:01:02Z  seal                             5                3.0 ms      11    19.1 MiB           1.25  (1,200 times)',
      '',
    ])
    expect(await imageOf(path)).toEqual(before)
  })

  test('prints some events, and the newest', async () => {
    const path = await toldTable()
    const { stdout } = await cli.run('log', path, '--json', '--event', 'merge,flush', '--limit', '1')
    const lines = stdout.trimEnd().split('\n')
    expect(lines.map(line => (JSON.parse(line) as { event: string }).event)).toEqual(['merge'])
  })

  test('refuses events that there are not, and says where there is no table', async () => {
    const path = await toldTable()
    expect(await cli.run('log', path, '--event', 'merges')).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('There is no event "merges", only open, recovery,') as string,
    })
    expect(await cli.run('log', freshPath())).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('FLASHTABLE_NOT_FOUND') as string,
    })
  })

  test('follows a table that is being written, until it is interrupted', async () => {
    const path = await smallTable()
    const { child, result } = cli.start('log', path, '--follow', '--event', 'clear')
    let seen = ''
    child.stdout!.on('data', text => (seen += String(text)))
    await until('it has begun', () => seen.includes('amplification'))
    const table = await FlashTable.open(path, ENCODINGS)
    await table.clear()
    await table.close()
    await until('it has seen the event', () => seen.includes('whole'))
    child.kill('SIGINT')
    expect(await result).toMatchObject({ code: 130 })
  })
})
