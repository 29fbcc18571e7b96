/** `flashtable top` beside a writer, in a pipe and on a real terminal. */
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { describe, expect, test } from 'vitest'
import { FlashTable } from '../../src/index.js'
import { until } from '../support/until.js'
import { testCli } from './cli-tables.js'

const { cli, freshPath } = testCli()

/** A pseudo-terminal comes from util-linux. */
const hasScript = process.platform === 'linux' && spawnSync('script', ['--version']).status === 0

async function openTable(): Promise<{ path: string; table: FlashTable<'u32'> }> {
  const path = freshPath()
  const table = await FlashTable.open(path, { keyEncoding: 'u32', bufferBytes: 4096 })
  for (let key = 0; key < 5000; key++) await table.put(key)
  return { path, table: table as unknown as FlashTable<'u32'> }
}

test('in a pipe it is one page, without control sequences', async () => {
  const { path, table } = await openTable()
  const { code, stdout, stderr } = await cli.run('top', path)
  await table.close()
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  expect(stdout).toContain(`writer: process ${process.pid}`)
  expect(stdout).toContain('records     5,000')
  expect(stdout).not.toContain('\u001b')
  const { stdout: after } = await cli.run('top', path, '--once')
  expect(after).toContain('not open for writing')
  expect(after).toMatch(/^\d\d:\d\d:\d\d {2}flush \(full\) .*\d inputs?, .*records/m)
})

test('--json is a line for each look, and sees what is put meanwhile', async () => {
  const { path, table } = await openTable()
  const { child, result } = cli.start('top', path, '--json', '--interval', '0.1')
  let seen = ''
  child.stdout!.on('data', chunk => (seen += String(chunk)))
  await until('it has looked', () => seen.includes('\n'))
  await table.put(5000, undefined)
  await until('it has seen the put', () => seen.includes('"records":5001'))
  child.kill('SIGINT')
  expect((await result).code).toBe(130)
  const lines = seen
    .trimEnd()
    .split('\n')
    // The interrupt is told, too, on several lines.
    .filter(line => line.startsWith('{"time"'))
    .map(line => JSON.parse(line) as Record<string, unknown>)
  expect(lines[0]).toMatchObject({
    records: 5000,
    writer: { pid: process.pid },
    levels: expect.any(Array) as unknown,
  })
  await table.close()
})

test('wrong usage is told', async () => {
  expect((await cli.run('top', freshPath())).stderr).toMatch(/NOT_FOUND/)
  expect((await cli.run('top', 'x', '--interval', '0')).code).toBe(2)
})

describe.skipIf(!hasScript)('on a terminal', () => {
  test.each(['q', '\u0003'])('it draws a screen of its own, and leaves it at %j', async key => {
    const { path, table } = await openTable()
    const command = `stty rows 24 columns 80; ${cli.command('top', path, '--interval', '0.1')}`
    const terminal = spawn('script', ['-qefc', command, '/dev/null'], { stdio: ['pipe', 'pipe', 'inherit'] })
    let seen = ''
    terminal.stdout.on('data', chunk => (seen += String(chunk)))
    await until('it has drawn twice', () => seen.split('\u001b[H').length > 2)
    terminal.stdin.write(key)
    // When all that it wrote has been read: it may have ended before.
    const [code] = (await once(terminal, 'close')) as [number | null]
    await table.close()
    expect(code).toBe(key === 'q' ? 0 : 130)
    expect(seen.startsWith('\u001b[?1049h\u001b[?25l')).toBe(true)
    expect(seen).toContain('\u001b[?25h\u001b[?1049l')
    const [, page] = seen.split('\u001b[H')
    expect(page!.split('\n').length).toBeLessThanOrEqual(24)
  })
})
