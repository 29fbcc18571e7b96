/** The command line as a user sees it: output, exit codes, and what it leaves on disk. */
import type { ChildProcess } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { bytes, FlashTable, struct } from '../../src/index.js'
import { readMemmapRecords, readMemmapTable } from '../../tools/demo/fixtures.js'
import { countWrongKeys } from '../../tools/demo/found-again.js'
import { Cli, startNode } from '../support/run-cli.js'
import { until } from '../support/until.js'

const FINGERPRINT = 'key:u64,time:u16,flags:u16,id:i32'
const ENCODINGS = {
  keyEncoding: 'u64',
  valueEncoding: struct({ time: 'u16', flags: 'u16', id: 'i32' }),
} as const

let cli: Cli
let directory: string
beforeAll(async () => {
  cli = await Cli.build()
  directory = await mkdtemp(join(tmpdir(), 'flashtable-cli-'))
})
afterAll(async () => {
  await rm(directory, { recursive: true })
  await cli.remove()
})

let names = 0
/** A path that nothing has. */
function freshPath(): string {
  return join(directory, `${names++}`)
}

async function fileOf(content: Uint8Array): Promise<string> {
  const path = freshPath()
  await writeFile(path, content)
  return path
}

/** Packed fingerprints: row i has the key `keys[i]`, the time i, and the id -i. */
function records(...keys: bigint[]): Buffer {
  return Buffer.concat(
    keys.map((key, row) => {
      const record = Buffer.alloc(16)
      record.writeBigUInt64LE(key)
      record.writeUInt16LE(row, 8)
      record.writeUInt16LE(1, 10)
      record.writeInt32LE(-row, 12)
      return record
    }),
  )
}

/** A table with three records of the keys 7, 8 and 7. */
async function smallTable(): Promise<string> {
  const path = freshPath()
  const table = await FlashTable.open(path, ENCODINGS)
  await table.put(7n, { time: 0, flags: 1, id: 0 })
  await table.put(8n, { time: 1, flags: 1, id: -1 })
  await table.put(7n, { time: 2, flags: 1, id: -2 })
  await table.close()
  return path
}

/** Names, contents and times of all files: equal only if nothing was changed. */
async function imageOf(path: string): Promise<unknown[]> {
  const files = (await readdir(path)).sort()
  return Promise.all(
    files.map(async name => {
      const { mtimeMs } = await stat(join(path, name))
      return [name, mtimeMs, (await readFile(join(path, name))).toString('base64')]
    }),
  )
}

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

  test.each([
    { args: [], says: 'Usage: flashtable' },
    { args: ['compcat', 'x'], says: 'Did you mean compact?' },
    { args: ['stats'], says: "missing required argument 'dir'" },
    { args: ['stats', 'a', 'b'], says: 'too many arguments' },
    { args: ['stats', 'a', '--nonsense'], says: "unknown option '--nonsense'" },
    { args: ['import', 'a', 'b', '--format', 'records'], says: "required option '--schema" },
    { args: ['import', 'a', 'b', '--schema', FINGERPRINT], says: "required option '--format" },
    { args: ['import', 'a', 'b', '--format', 'csv', '--schema', FINGERPRINT], says: 'Allowed choices are' },
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
  })
})

describe('flashtable import', () => {
  test('imports 140,235 records of the memory-mapped table, each found again with its time and track', async () => {
    const file = await fileOf(readMemmapTable())
    const path = freshPath()
    const options = ['--format', 'memmap', '--shape', '16384,32', '--schema', FINGERPRINT]
    const { code, stdout, stderr } = await cli.run('import', file, path, ...options)
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    expect(stdout).toContain('140,235 records (2,243,760 bytes)')
    expect(stdout).toMatch(/write amplification +0\.\d\d/)
    const table = await FlashTable.open(path, { ...ENCODINGS, readOnly: true })
    expect(await countWrongKeys(table, readMemmapRecords())).toBe(0)
    expect((await table.stats()).records).toBe(140_235)
    await table.close()
  })

  test('imports packed records and keeps the order of those of a key', async () => {
    const path = freshPath()
    const file = await fileOf(records(5n, 6n, 5n, 2n ** 64n - 1n, 5n))
    const result = await cli.json('import', file, path, '--format', 'records', '--schema', FINGERPRINT)
    expect(result).toMatchObject({ file, directory: path, records: 5, recordBytes: 80 })
    expect(result['writeAmplification']).toBeGreaterThan(0)
    const table = await FlashTable.open(path, { ...ENCODINGS, readOnly: true })
    expect((await table.getAll(5n)).map(({ time }) => time)).toEqual([0, 2, 4])
    expect(await table.getAll(2n ** 64n - 1n)).toEqual([{ time: 3, flags: 1, id: -3 }])
    await table.close()
  })

  test('makes a set of a schema that has the key alone', async () => {
    const path = freshPath()
    const file = await fileOf(Uint8Array.of(1, 2, 3, 1, 2, 4))
    const { code } = await cli.run('import', file, path, '--format', 'records', '--schema', 'key:bytes(3)')
    expect(code).toBe(0)
    const table = await FlashTable.open(path, { keyEncoding: bytes(3), readOnly: true })
    expect([await table.has(Uint8Array.of(1, 2, 3)), await table.has(Uint8Array.of(1, 2, 5))]).toEqual([
      true,
      false,
    ])
    await table.close()
  })

  test.each([
    { format: ['records'], expected: 'expected a multiple of 16 bytes (one record), found 65 bytes' },
    {
      format: ['memmap', '--shape', '2,2'],
      expected: 'expected 64 bytes (2 buckets of 2 slots of 16 bytes), found 65 bytes',
    },
  ])(
    'refuses a file whose size does not fit before it writes anything: $format',
    async ({ format, expected }) => {
      const path = freshPath()
      const file = await fileOf(new Uint8Array(65))
      const { code, stdout, stderr } = await cli.run(
        'import',
        file,
        path,
        '--schema',
        FINGERPRINT,
        '--format',
        ...format,
      )
      expect({ code, stdout }).toEqual({ code: 1, stdout: '' })
      expect(stderr).toContain(expected)
      expect(existsSync(path)).toBe(false)
    },
  )

  test('refuses what numpy.save has written, unless it is forced, and creates nothing', async () => {
    const path = freshPath()
    const header = Buffer.alloc(128, ' ')
    header.write("\x93NUMPY\x01\0v\0{'descr': '<u8', 'fortran_order': False, 'shape': (2,), }", 'latin1')
    const file = await fileOf(Buffer.concat([header, records(7n)]))
    const args = ['import', file, path, '--format', 'records', '--schema', FINGERPRINT]
    const { code, stderr } = await cli.run(...args)
    expect(code).toBe(1)
    expect(stderr).toContain('array.tofile(path)')
    expect(existsSync(path)).toBe(false)
    expect((await cli.run(...args, '--append')).code).toBe(1)
    expect((await cli.json(...args, '--force'))['records']).toBe(9)
  })

  test('answers 1 where there is no file, and creates nothing', async () => {
    const path = freshPath()
    const { code, stderr } = await cli.run(
      'import',
      freshPath(),
      path,
      '--format',
      'records',
      '--schema',
      FINGERPRINT,
    )
    expect(code).toBe(1)
    expect(stderr).toContain('no such file')
    expect(existsSync(path)).toBe(false)
  })

  test('leaves a table that is there alone, unless it is told to --append', async () => {
    const path = await smallTable()
    const before = await imageOf(path)
    const file = await fileOf(records(7n))
    const args = ['import', file, path, '--format', 'records', '--schema', FINGERPRINT]
    const refused = await cli.run(...args)
    expect(refused.code).toBe(1)
    expect(refused.stderr).toContain('FLASHTABLE_EXISTS')
    expect(await imageOf(path)).toEqual(before)
    expect((await cli.run(...args, '--append')).code).toBe(0)
    const { records: found } = await cli.json('get', path, '7')
    expect(found).toHaveLength(3)
  })

  test('refuses to append records of another schema', async () => {
    const path = await smallTable()
    const file = await fileOf(new Uint8Array(12))
    const options = ['--format', 'records', '--schema', 'key:u64,id:u32', '--append']
    const { code, stderr } = await cli.run('import', file, path, ...options)
    expect(code).toBe(1)
    expect(stderr).toContain('FLASHTABLE_SCHEMA_MISMATCH')
  })

  test('interrupted, it ends with 130, imports nothing, and can be done again', async () => {
    const path = freshPath()
    const file = await fileOf(new Uint8Array(64 * 1024 * 1024))
    const args = ['import', file, path, '--format', 'records', '--schema', FINGERPRINT]
    const { child, result } = cli.start(...args)
    await untilOrEnd(child, async () => existsSync(join(path, 'MANIFEST')))
    child.kill('SIGINT')
    const { code, stderr } = await result
    expect(code).toBe(130)
    expect(stderr).toContain(`nothing of ${file} is in ${path}`)
    expect(stderr).toContain('interrupted by SIGINT')
    expect(await cli.json('stats', path)).toMatchObject({ records: 0, recordsPut: 0, files: [] })
    expect(await cli.json(...args)).toMatchObject({ records: 4 * 1024 * 1024 })
  })

  test('interrupted while it appends, it ends with 143 and tells what is there', async () => {
    const path = await smallTable()
    const file = await fileOf(new Uint8Array(64 * 1024 * 1024))
    const segments = async () => (await readdir(path)).filter(name => name.endsWith('.wal')).length
    const before = await segments()
    const options = ['--format', 'records', '--schema', FINGERPRINT, '--append']
    const { child, result } = cli.start('import', file, path, ...options)
    // The first record opens a segment of the log.
    await untilOrEnd(child, async () => (await segments()) > before)
    child.kill('SIGTERM')
    const { code, stderr } = await result
    expect(code).toBe(143)
    const [, told] = /only the first (\d+) records/.exec(stderr) ?? []
    expect(told).toBeDefined()
    const table = await FlashTable.open(path, ENCODINGS)
    expect(await table.count(0n)).toBe(Number(told))
    expect(await table.count(7n)).toBe(2)
    await table.close()
  })
})

describe('flashtable get', () => {
  test('prints all records of a key, oldest first, for a decimal and for a hexadecimal key', async () => {
    const path = await smallTable()
    const lines = 'time\tflags\tid\n0\t1\t0\n2\t1\t-2\n'
    for (const key of ['7', '0x7']) {
      expect(await cli.run('get', path, key)).toEqual({ code: 0, stdout: lines, stderr: '' })
    }
    expect(await cli.json('get', path, '0x7')).toEqual({
      directory: path,
      key: '0x7',
      records: [
        { time: 0, flags: 1, id: 0 },
        { time: 2, flags: 1, id: -2 },
      ],
    })
  })

  test('answers 1 and prints nothing where the key has no record', async () => {
    const path = await smallTable()
    expect(await cli.run('get', path, '9')).toEqual({ code: 1, stdout: '', stderr: '' })
    expect(await cli.json('get', path, '9')).toMatchObject({ records: [] })
  })

  test.each(['18446744073709551616', '-1', 'seven'])(
    'answers 2 where the key cannot be one: %s',
    async key => {
      const { code, stderr } = await cli.run('get', await smallTable(), '--', key)
      expect(code).toBe(2)
      expect(stderr).toContain('u64')
    },
  )

  test('prints 64-bit integers and bytes so that nothing is lost', async () => {
    const path = freshPath()
    const table = await FlashTable.open(path, {
      keyEncoding: bytes(2),
      valueEncoding: struct({ big: 'i64', digest: bytes(3), ratio: 'f64' }),
    })
    await table.put(Uint8Array.of(0, 255), {
      big: -(2n ** 63n),
      digest: Uint8Array.of(1, 2, 255),
      ratio: Number.NaN,
    })
    await table.close()
    expect((await cli.run('get', path, '00ff')).stdout).toBe(
      'big\tdigest\tratio\n-9223372036854775808\t0102ff\tNaN\n',
    )
    expect((await cli.json('get', path, '0x00FF'))['records']).toEqual([
      { big: '-9223372036854775808', digest: '0102ff', ratio: 'NaN' },
    ])
  })

  test('prints the key of a set, and the plain value of a table without struct', async () => {
    const set = freshPath()
    const keys = await FlashTable.open(set, { keyEncoding: 'u32' })
    await keys.put(3)
    await keys.close()
    expect((await cli.run('get', set, '3')).stdout).toBe('key\n3\n')
    const plain = freshPath()
    const values = await FlashTable.open(plain, { keyEncoding: 'u32', valueEncoding: 'u16' })
    await values.put(3, 40)
    await values.close()
    expect((await cli.run('get', plain, '3')).stdout).toBe('value\n40\n')
  })
})

describe('flashtable stats', () => {
  test('tells records, bytes and write amplification', async () => {
    const path = await smallTable()
    const { code, stdout } = await cli.run('stats', path)
    expect(code).toBe(0)
    expect(stdout).toMatch(/^records +3$/m)
    expect(stdout).toMatch(/^put +3 records, 48 bytes$/m)
    expect(stdout).toMatch(/^write amplification/m)
    expect(await cli.json('stats', path)).toMatchObject({ directory: path, records: 3, recordBytesPut: 48 })
  })
})

describe('stats, get and verify', () => {
  test('change nothing, and work while a writer has the table open', async () => {
    const path = await smallTable()
    const before = await imageOf(path)
    for (const args of [
      ['stats', path],
      ['get', path, '7'],
      ['verify', path],
    ]) {
      expect((await cli.run(...args)).code).toBe(0)
    }
    expect(await imageOf(path)).toEqual(before)
    const writer = await FlashTable.open(path)
    expect((await cli.run('stats', path)).code).toBe(0)
    expect((await cli.run('get', path, '7')).code).toBe(0)
    await writer.close()
  })
})

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

  test('interrupted, it ends with 130 and leaves the table as it was, the lock free', async () => {
    const path = freshPath()
    const file = await fileOf(new Uint8Array(64 * 1024 * 1024))
    await cli.run('import', file, path, '--format', 'records', '--schema', FINGERPRINT)
    const before = await cli.json('stats', path)
    const { child, result } = cli.start('compact', path)
    await untilOrEnd(child, async () => existsSync(join(path, 'LOCK')))
    child.kill('SIGINT')
    const { code, stdout, stderr } = await result
    expect({ code, stdout }).toEqual({ code: 130, stdout: '' })
    expect(stderr).toContain('interrupted by SIGINT')
    expect(await cli.json('stats', path)).toMatchObject({
      files: before['files'],
      records: before['records'],
    })
    const table = await FlashTable.open(path, ENCODINGS)
    expect(await table.count(0n)).toBe(4 * 1024 * 1024)
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
    const table = await FlashTable.open(path, ENCODINGS)
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
  ])('refuses $what', async ({ into, code, says }) => {
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

/** Resolves when the condition holds; throws where the child ends before. */
async function untilOrEnd(child: ChildProcess, condition: () => Promise<boolean>): Promise<void> {
  await until('the condition holds', async () => (await condition()) || child.exitCode !== null)
  if (child.exitCode !== null)
    throw new Error(`it ended with ${child.exitCode} before it could be interrupted`)
}
