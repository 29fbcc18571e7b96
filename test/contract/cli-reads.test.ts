/** `flashtable get` and `stats` as a user sees them, and that reading commands change nothing. */
import { describe, expect, test } from 'vitest'
import { bytes, FlashTable, struct } from '../../src/index.js'
import { imageOf, testCli } from './cli-tables.js'

const { cli, freshPath, smallTable } = testCli()

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
