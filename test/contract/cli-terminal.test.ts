/** The command line at a terminal, in a pipe, and where things fail: one line an error, nothing that acts on a terminal. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { openSync, closeSync } from 'node:fs'
import { mkdir, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { describe, expect, test } from 'vitest'
import { fixed, FlashTable, struct } from '../../src/index.js'
import type { CliResult } from '../support/run-cli.js'
import { testCli } from './cli-tables.js'
import { LIBRARY, programOf } from '../support/programs.js'

/** Characters that act on a terminal. */
const ACTING = /[^\P{Cc}\n\t]|[\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/u
/** What an error looks like. */
const ERROR_LINE = /^flashtable: [A-Z][A-Z_]+: [^\n]+\n$/
/** Names that only programs know. */
const OPTION_NAME =
  /\b(lockTimeoutMs|readOnly|createIfMissing|errorIfExists|keyEncoding|valueEncoding|cacheBytes|bufferBytes|walBytes)\b/

const place = testCli()
const { cli, freshPath } = place

async function smallTable(): Promise<string> {
  const path = freshPath()
  const table = await FlashTable.open(path, { keyEncoding: 'u64', valueEncoding: struct({ time: 'u16' }) })
  await table.put(7n, { time: 1 })
  await table.put(9n, { time: 2 })
  await table.close()
  return path
}

function expectError({ code, stdout, stderr }: CliResult, exitCode: number): void {
  expect({ code, stdout }).toEqual({ code: exitCode, stdout: '' })
  expect(stderr).toMatch(ERROR_LINE)
  expect(stderr).not.toMatch(OPTION_NAME)
  expect(stderr).not.toMatch(ACTING)
}

describe('an error', () => {
  test('of wrong usage is one line with a code', async () => {
    for (const args of [
      ['compcat', 'x'],
      ['stats', 'a', '--nonsense'],
      ['get', 'a', '1', '--wait', '3'],
      ['compact', 'a', '--wait', 'x'],
      ['compact', 'a', '--wait', '1', '--wait', '2'],
      ['stats', ''],
      ['import', 'a', 'b', '--format', 'records', '--format', 'records', '--schema', 'key:u64'],
      ['get', await smallTable(), 'x'],
    ]) {
      expectError(await cli.run(...args), 2)
    }
  })

  test('of a directory that cannot be used is one line with a code, whatever the command', async () => {
    const file = freshPath()
    await writeFile(file, 'no table')
    const dangling = freshPath()
    await symlink(freshPath(), dangling)
    const empty = freshPath()
    const commands = [['stats'], ['get', '1'], ['compact'], ['checkpoint', freshPath()]] as const
    let at = 0
    await mkdir(empty)
    for (const path of [
      freshPath(),
      file,
      join(file, 'below'),
      dangling,
      empty,
      join(place.directory, 'x'.repeat(300)),
    ]) {
      const [command, ...more] = commands[at++ % commands.length]!
      expectError(await cli.run(command, path, ...more), 1)
    }
    for (const input of [freshPath(), place.directory]) {
      const args = ['import', input, freshPath(), '--format', 'records', '--schema', 'key:u64']
      expectError(await cli.run(...args), 1)
    }
  })

  test('shows control characters of paths and arguments, and does not send them', async () => {
    const name = '\u001b[31m a\nb \u009b2J \u007f \u202e \r \u2028'
    const path = join(place.directory, `gone ${name}`)
    expectError(await cli.run(name), 2)
    const json = await cli.run('stats', path, '--json')
    expect(json.stderr).toMatch(/^flashtable: FLASHTABLE_NOT_FOUND: .*gone \\u001b\[31m a\\u000ab/)
    expect(json.stderr + json.stdout).not.toMatch(ACTING)
    expect((JSON.parse(json.stdout) as { error: { message: string } }).error.message).toContain(name)
  })

  test('of a table that another program has open speaks of --wait, and --wait waits', async () => {
    const path = await smallTable()
    const writer = await FlashTable.open(path)
    for (const args of [
      ['compact', path],
      ['compact', path, '--wait', '0.01'],
    ]) {
      const result = await cli.run(...args)
      expectError(result, 1)
      expect(result.stderr).toContain(`${process.pid}`)
      expect(result.stderr).toContain('--wait SECONDS')
    }
    const { result } = cli.start('compact', path, '--wait', '60')
    await writer.close()
    expect((await result).code).toBe(0)
  })
})

describe('standard output', () => {
  test.runIf(process.platform === 'linux').each([['stats', '--json'], ['get', '7'], ['--help']])(
    'that cannot be written is one line with a code: %s %s',
    async (command, ...more) => {
      const path = await smallTable()
      const full = openSync('/dev/full', 'w')
      const child = cli.startInto(full, ...(command === '--help' ? [command] : [command!, path, ...more]))
      const [[code], stderr] = await Promise.all([once(child, 'close'), text(child.stderr!)])
      closeSync(full)
      expect(code).toBe(1)
      expect(stderr).toMatch(/^flashtable: FLASHTABLE_DISK_FULL: standard output [^\n]+\n$/)
    },
  )

  test('that is a pipe whose reader has gone is no failure', async () => {
    const path = await smallTable()
    const child = cli.startInto('pipe', 'stats', path, '--json')
    child.stdout!.destroy()
    const [[code], stderr] = await Promise.all([once(child, 'close'), text(child.stderr!)])
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  })

  test('has what tables hold, without what acts on a terminal', async () => {
    const path = freshPath()
    const texts = ['\u001b[2J', 'a\nb', '\u0085x', '\u009b1m', '\u007f\u007f', 'x\u202e', 'plain', 'é🎵']
    const valueEncoding = struct({ id: 'u8', text: fixed(PADDED, 8) })
    const table = await FlashTable.open(path, { keyEncoding: fixed('utf8', 4), valueEncoding })
    for (const [id, value] of texts.entries()) await table.put('k\u009b1', { id, text: value })
    await table.close()
    // Only a program knows this encoding: its bytes are shown.
    const hex = await cli.run('get', path, 'k\u009b1')
    expect(hex.stdout.split('\n').slice(0, 2)).toEqual([
      'id\ttext',
      `0\t${Buffer.from('\u001b[2J').toString('hex')}00000000`,
    ])
    const plain = freshPath()
    const set = await FlashTable.open(plain, {
      keyEncoding: fixed('utf8', 4),
      valueEncoding: fixed('utf8', 4),
    })
    await set.put('k\u009b1', '\u001b\u0085\u007f')
    await set.put('k\u009b1', 'abcd')
    await set.close()
    const { stdout } = await cli.run('get', plain, 'k\u009b1')
    expect(stdout).toBe('value\n"\\u001b\\u0085\\u007f"\nabcd\n')
    const json = await cli.run('get', plain, 'k\u009b1', '--json')
    expect(json.stdout).not.toMatch(ACTING)
    expect(JSON.parse(json.stdout)).toMatchObject({
      key: 'k\u009b1',
      records: [{ value: '\u001b\u0085\u007f' }, {}],
    })
    for (const args of [
      ['stats', plain],
      ['stats', plain, '--json'],
      ['stats', path],
    ]) {
      expect((await cli.run(...args)).stdout).not.toMatch(ACTING)
    }
  })
})

describe('a signal', () => {
  test.each([
    ['SIGINT', 130],
    ['SIGTERM', 143],
    ['SIGHUP', 129],
  ] as const)(
    '%s ends an import with %d and one line, nothing of it in the table',
    async (signal, exitCode) => {
      const path = freshPath()
      const file = freshPath()
      await writeFile(file, new Uint8Array(16 * 1024 * 1024))
      const args = ['import', file, path, '--format', 'records', '--schema', 'key:u64']
      const ended = await place.interrupted(signal, join(path, 'MANIFEST'), ...args)
      expectError(ended, exitCode)
      expect(ended.stderr).toContain(`INTERRUPTED: interrupted by ${signal}; nothing of`)
      expect(await cli.json('stats', path)).toMatchObject({ records: 0 })
    },
  )
})

describe('flashtable stats', () => {
  test('tells schema, stored options, keys, levels and memory, as text and as JSON', async () => {
    const path = await smallTable()
    await cli.run('compact', path)
    const { stdout } = await cli.run('stats', path)
    for (const line of [
      /^schema +key:u64,time:u16$/m,
      /^duplicates +keep$/m,
      /^page +4,096 bytes$/m,
      /^keys +7 to 9$/m,
      /^bucket files +1: 1 of level 0$/m,
      /^on disk +[\d,]+ bytes, of which data pages/m,
      /^log on disk +[\d,]+ bytes, spare segments [\d,]+$/m,
      /^memory of an open +\d+ bytes/m,
    ]) {
      expect(stdout).toMatch(line)
    }
    expect(await cli.json('stats', path)).toMatchObject({
      schema: { key: { type: 'u64' }, value: { type: 'struct', fields: [{ name: 'time', type: 'u16' }] } },
      duplicates: 'keep',
      pageBytes: 4096,
      leastKey: '7',
      greatestKey: '9',
      levels: [1],
    })
  })

  test('counts what only the log has, after kill -9 too', async () => {
    const path = freshPath()
    const program = `
      import { FlashTable } from ${LIBRARY}
      const table = await FlashTable.open(${JSON.stringify(path)}, { keyEncoding: 'u32' })
      await table.putColumns({ key: Uint32Array.from({ length: 5000 }, (_, i) => i) })
      process.kill(process.pid, 'SIGKILL')`
    const child = spawn(process.execPath, [await programOf(program)])
    await once(child, 'close')
    const { stdout } = await cli.run('stats', path)
    expect(stdout).toMatch(/^records +5,000$/m)
    expect(stdout).toMatch(/^put +5,000 records, 20,000 bytes$/m)
  })
})

describe('flashtable compact', () => {
  test('says that there was nothing to do', async () => {
    const path = await smallTable()
    expect((await cli.run('compact', path)).stdout).toMatch(/^before +0 /m)
    const again = await cli.run('compact', path)
    expect(again).toMatchObject({ code: 0, stdout: 'nothing to do: everything is in one bucket file\n' })
  })
})

const PADDED = {
  name: 'padded',
  format: 'view',
  encode: (value: string) => Buffer.concat([Buffer.from(value), Buffer.alloc(8)]).subarray(0, 8),
  decode: (bytes: Uint8Array) => Buffer.from(bytes).toString().replace(/\0+$/, ''),
} as const
