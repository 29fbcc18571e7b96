/** `flashtable import` as a user sees it: output, exit codes, and the table that it leaves. */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { bytes, FlashTable } from '../../src/index.js'
import { readMemmapRecords, readMemmapTable } from '../../tools/demo/fixtures.js'
import { countWrongKeys } from '../../tools/demo/found-again.js'
import { ENCODINGS, FINGERPRINT, imageOf, testCli } from './cli-tables.js'

const { cli, freshPath, fileOf, interrupted, smallTable } = testCli()

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
    expect(stderr).toContain('--format npy imports it')
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
    expect(stderr).toMatch(/^flashtable: FLASHTABLE_NOT_FOUND: there is no file [^;]+; check the path\n$/)
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
    const file = await fileOf(new Uint8Array(16 * 1024 * 1024))
    const args = ['import', file, path, '--format', 'records', '--schema', FINGERPRINT]
    const { code, stderr } = await interrupted('SIGINT', join(path, 'MANIFEST'), ...args)
    expect(code).toBe(130)
    expect(stderr).toContain(`nothing of ${file} is in ${path}`)
    expect(stderr).toContain('interrupted by SIGINT')
    expect(await cli.json('stats', path)).toMatchObject({ records: 0, recordsPut: 0, files: [] })
    expect(await cli.json(...args)).toMatchObject({ records: 1024 * 1024 })
  })

  test('interrupted while it appends, it ends with 143 and tells what is there', async () => {
    const path = await smallTable()
    const file = await fileOf(new Uint8Array(16 * 1024 * 1024))
    const options = ['--format', 'records', '--schema', FINGERPRINT, '--append']
    // The first record opens the next segment of the log.
    const { code, stderr } = await interrupted(
      'SIGTERM',
      join(path, '000002.wal'),
      'import',
      file,
      path,
      ...options,
    )
    expect(code).toBe(143)
    const [, told] = /only the first (\d+) records/.exec(stderr) ?? []
    expect(told).toBeDefined()
    const table = await FlashTable.open(path, ENCODINGS)
    expect(await table.count(0n)).toBe(Number(told))
    expect(await table.count(7n)).toBe(2)
    await table.close()
  })
})
