/** The command line as a user sees it, whatever the command: help, version, wrong usage, and failures. */
import { existsSync } from 'node:fs'
import { mkdir, readdir, readFile } from 'node:fs/promises'
import { describe, expect, test } from 'vitest'
import { FlashTable } from '../../src/index.js'
import { startNode } from '../support/run-cli.js'
import { FINGERPRINT, testCli } from './cli-tables.js'

const { cli, freshPath } = testCli()

describe('flashtable', () => {
  test('--help tells commands and exit codes, and is no failure', async () => {
    const { code, stdout, stderr } = await cli.run('--help')
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    for (const word of ['import', 'compact', 'verify', 'stats', 'get', 'checkpoint', 'Exit codes'])
      expect(stdout).toContain(word)
  })

  test('--version is that of the package, compiled and from the sources', async () => {
    const { version } = JSON.parse(await readFile('package.json', 'utf8')) as { version: string }
    const expected = { code: 0, stdout: `${version}\n`, stderr: '' }
    expect(await cli.run('--version')).toEqual(expected)
    expect(await startNode('--import', 'tsx', 'tools/cli/main.ts', '--version').result).toEqual(expected)
  })

  // Everywhere else tests start threads from text, as the package does.
  test('run from the sources, it merges in a thread that loads the sources', async () => {
    const path = freshPath()
    const table = await FlashTable.open(path, { keyEncoding: 'u32' })
    await table.put(7)
    await table.close()
    const compact = ['tools/cli/main.ts', 'compact', path, '--json']
    const { code, stdout, stderr } = await startNode('--import', 'tsx', ...compact).result
    // Where no thread can be started, it warns.
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    expect(JSON.parse(stdout)).toMatchObject({ after: { bucketFiles: 1 } })
  })

  test.each([
    { args: [], says: 'Usage: flashtable' },
    { args: ['compcat', 'x'], says: 'Did you mean compact?' },
    { args: ['stats'], says: "missing required argument 'dir'" },
    { args: ['stats', 'a', 'b'], says: 'too many arguments' },
    { args: ['stats', 'a', '--nonsense'], says: "unknown option '--nonsense'" },
    { args: ['import', 'a', 'b', '--format', 'records'], says: '--format records needs --schema' },
    { args: ['import', 'a', 'b', '--format', 'xml', '--schema', FINGERPRINT], says: 'Allowed choices are' },
    { args: ['import', 'a', 'b', '--format', 'records', '--schema', 'key:u63'], says: 'has the type "u63"' },
    { args: ['import', 'a', 'b', '--format', 'memmap', '--schema', FINGERPRINT], says: 'needs --shape' },
    {
      args: ['import', 'a', 'b', '--format', 'memmap', '--schema', FINGERPRINT, '--shape', '12'],
      says: 'buckets and slots',
    },
    {
      args: ['import', 'a', 'b', '--format', 'records', '--schema', FINGERPRINT, '--shape', '4,4'],
      says: '--shape is for --format memmap',
    },
    {
      args: ['import', 'a', 'b', '--format', 'memmap', '--schema', 'key:u64', '--shape', '4,4'],
      says: 'field named "flags"',
    },
  ])('answers wrong usage with 2 and a reason: $says', async ({ args, says }) => {
    const { code, stdout, stderr } = await cli.run(...args)
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
    expect(stderr).toContain(says)
  })

  test.each([['compact'], ['verify'], ['stats'], ['get', '1'], ['checkpoint', 'nowhere']])(
    '%s of a directory without a table answers 1, and creates nothing',
    async (command, ...more) => {
      const missing = freshPath()
      const empty = freshPath()
      await mkdir(empty)
      for (const path of [missing, empty]) {
        const { code, stdout, stderr } = await cli.run(command!, path, ...more)
        expect({ code, stdout }).toEqual({ code: 1, stdout: '' })
        expect(stderr).toContain('FLASHTABLE_NOT_FOUND')
        expect(stderr).not.toContain(' at ')
      }
      expect(existsSync(missing)).toBe(false)
      expect(await readdir(empty)).toEqual([])
    },
  )

  test('--json tells failures as JSON too', async () => {
    const { code, stdout } = await cli.run('stats', freshPath(), '--json')
    expect(code).toBe(1)
    expect(JSON.parse(stdout)).toMatchObject({ error: { code: 'FLASHTABLE_NOT_FOUND' } })
    const wrong = await cli.run('stats', '--json')
    expect(wrong.code).toBe(2)
    expect(JSON.parse(wrong.stdout)).toMatchObject({ error: { code: 'WRONG_USAGE' } })
    const address = await cli.run('get', 'https://user:secret@host/x?sign=secret', '7', '--json')
    expect(address.code).toBe(2)
    expect(address.stdout + address.stderr).not.toContain('secret')
  })
})
