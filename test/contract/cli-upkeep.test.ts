/** `flashtable compact`, `checkpoint`, `verify` and `repair` as a user sees them: output, exit codes, and what is on disk. */
import { existsSync } from 'node:fs'
import { readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { FlashTable } from '../../src/index.js'
import { ENCODINGS, FINGERPRINT, imageOf, testCli } from './cli-tables.js'

const { cli, freshPath, interrupted, smallTable } = testCli()

describe('flashtable compact', () => {
  test('merges everything into one file and keeps all records', async () => {
    const path = await smallTable()
    const { code, stdout, stderr } = await cli.run('compact', path)
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    expect(stdout).toMatch(/^before +0 +0 +\S+$/m)
    expect(stdout).toMatch(/^after +1 +\S+ +\S+$/m)
    const again = await cli.json('compact', path)
    expect(again).toMatchObject({ directory: path, before: { bucketFiles: 1 }, after: { bucketFiles: 1 } })
    expect((await cli.run('get', path, '7')).stdout).toBe('time\tflags\tid\n0\t1\t0\n2\t1\t-2\n')
  })

  test('answers 1 at once where another process has the table open', async () => {
    const path = await smallTable()
    const writer = await FlashTable.open(path)
    const { code, stderr } = await cli.run('compact', path)
    await writer.close()
    expect(code).toBe(1)
    expect(stderr).toContain('FLASHTABLE_LOCKED')
  })

  test('interrupted while it merges, it ends with 130 and leaves the files as they were, the lock free', async () => {
    const path = freshPath()
    const key = BigUint64Array.from({ length: 1_000_000 }, (_, row) => BigInt(row))
    const filled = await FlashTable.bulkLoad(path, { keyEncoding: 'u64' }, [{ key }])
    // Else all is in one file, and there is nothing to do.
    await filled.put(7n)
    await filled.close()
    const before = await cli.json('stats', path)
    // The first file has what was loaded, the second one is of the put.
    const merged = join(path, '000003.bucket')
    const { code, stdout, stderr } = await interrupted('SIGINT', merged, 'compact', path)
    expect({ code, stdout }).toEqual({ code: 130, stdout: '' })
    expect(stderr).toContain('interrupted by SIGINT')
    const names = await readdir(path)
    expect([names.includes('LOCK'), names.includes('000003.bucket')]).toEqual([false, false])
    const { files, records } = await cli.json('stats', path)
    expect(files).toEqual(expect.arrayContaining(before['files'] as unknown[]))
    expect(records).toBe(1_000_001)
    const table = await FlashTable.open(path, { keyEncoding: 'u64' })
    expect([await table.count(), await table.count(7n)]).toEqual([1_000_001, 2])
    await table.close()
  })
})

describe('flashtable checkpoint', () => {
  test('makes a copy with all records, and leaves alone what is there', async () => {
    const path = await smallTable()
    const copy = freshPath()
    const { code, stdout, stderr } = await cli.run('checkpoint', path, copy)
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    expect(stdout).toMatch(/^3 records, \S+ bytes, in /)
    expect((await cli.run('get', copy, '8')).stdout).toBe('time\tflags\tid\n1\t1\t-1\n')
    const again = await cli.run('checkpoint', path, copy)
    expect(again.code).toBe(1)
    expect(again.stderr).toContain('FLASHTABLE_EXISTS')
  })

  test('copies a table that a program has open for writing, and changes nothing in its directory', async () => {
    const path = await smallTable()
    // Its event log is written a second later.
    const table = await FlashTable.open(path, { ...ENCODINGS, eventLog: false })
    await table.put(77n, { time: 7, flags: 7, id: 7 })
    const before = await imageOf(path)
    const copy = freshPath()
    expect(await cli.run('checkpoint', path, copy)).toMatchObject({ code: 0, stderr: '' })
    expect(await imageOf(path)).toEqual(before)
    expect((await cli.run('get', copy, '77')).stdout).toBe('time\tflags\tid\n7\t7\t7\n')
    expect((await cli.run('verify', copy)).code).toBe(0)
    await table.close()
  })
})

describe('flashtable verify', () => {
  test('finds no problem in a sound table', async () => {
    const path = await smallTable()
    const { code, stdout } = await cli.run('verify', path)
    expect(code).toBe(0)
    expect(stdout).toContain('3 records: no problem')
    expect(await cli.json('verify', path)).toMatchObject({ directory: path, problems: [], records: 3 })
  })

  test('names file and offset of a damaged page, and answers 1', async () => {
    const path = await smallTable()
    await cli.run('compact', path)
    const name = (await readdir(path)).find(name => name.endsWith('.bucket'))!
    const content = await readFile(join(path, name))
    content[100]! ^= 1
    await writeFile(join(path, name), content)
    const before = await imageOf(path)
    const { code, stdout } = await cli.run('verify', path)
    expect(code).toBe(1)
    expect(stdout).toMatch(new RegExp(`${name}:0: `))
    expect(stdout).toContain('problems: 1')
    const { problems } = await cli.json('verify', path)
    expect(problems).toMatchObject([{ offset: 0 }])
    expect(await imageOf(path)).toEqual(before)
  })
})

describe('flashtable repair', () => {
  test('of a sound table loses nothing, and the new table has all', async () => {
    const path = await smallTable()
    const into = freshPath()
    const before = await imageOf(path)
    const { code, stdout } = await cli.run('repair', path, '--into', into)
    expect({ code, stdout }).toEqual({ code: 0, stdout: `3 records saved in ${into}: nothing lost\n` })
    expect(await cli.json('verify', into)).toMatchObject({ problems: [], records: 3 })
    expect(await imageOf(path)).toEqual(before)
  })

  test('without the manifest saves what is in the log, and answers 1 with each loss', async () => {
    const path = await smallTable()
    await rm(join(path, 'MANIFEST'))
    const refused = await cli.run('repair', path, '--into', freshPath())
    expect(refused.code).toBe(1)
    expect(refused.stderr).toContain('FLASHTABLE_CORRUPTION')
    const into = freshPath()
    const args = ['repair', path, '--into', into, '--schema', FINGERPRINT, '--page-bytes', '8192']
    const { code, stdout } = await cli.run(...args, '--json')
    expect(code).toBe(1)
    expect(JSON.parse(stdout)).toMatchObject({
      records: 3,
      losses: [{ reason: 'the manifest', operations: null, after: null, before: null }],
    })
    expect(await cli.json('verify', into)).toMatchObject({ problems: [], records: 3 })
  })

  test.each([
    { what: 'a directory that is not there', into: 'new', code: 1, says: 'FLASHTABLE_NOT_FOUND' },
    {
      what: 'a new table inside of the old one',
      into: 'old/new',
      code: 2,
      says: 'FLASHTABLE_INVALID_OPTION',
    },
    { what: 'a new table in place of the old one', into: 'old', code: 2, says: 'FLASHTABLE_INVALID_OPTION' },
  ])('refuses $what, and creates nothing', async ({ into, code, says }) => {
    const parent = freshPath()
    const result = await cli.run('repair', join(parent, 'old'), '--into', join(parent, into))
    expect(result).toMatchObject({ code, stdout: '' })
    expect(result.stderr).toContain(says)
    expect(result.stderr).not.toContain(' at ')
    expect(existsSync(parent)).toBe(false)
  })

  test('--page-bytes of another number is wrong usage', async () => {
    const { code, stderr } = await cli.run('repair', '.', '--into', freshPath(), '--page-bytes', '5000')
    expect(code).toBe(2)
    expect(stderr).toContain('power of two')
  })
})
