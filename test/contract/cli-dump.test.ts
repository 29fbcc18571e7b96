/** `flashtable dump` and `load` as a user sees them: the same table again, or nothing. */
import { once } from 'node:events'
import { closeSync, existsSync, openSync } from 'node:fs'
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { text } from 'node:stream/consumers'
import { describe, expect, test } from 'vitest'
import { bytes, fixed, FlashTable, struct, type OpenOptions } from '../../src/index.js'
import { ENCODINGS, imageOf, testCli, untilOrEnd } from './cli-tables.js'

const { cli, freshPath, interrupted, smallTable } = testCli()

const DUMP = `{"format":"flashtable dump","version":1,"schema":{"key":{"type":"u64"},"value":{"type":"struct","fields":[{"name":"time","type":"u16"},{"name":"flags","type":"u16"},{"name":"id","type":"i32"}]}},"duplicates":"keep","pageBytes":4096,"mode":"600","meta":{},"records":3}
7,0,1,0
7,2,1,-2
8,1,1,-1
{"records":3,"crc32":"CRC"}
`

/** A table of a million records. */
async function largeTable(): Promise<string> {
  const path = freshPath()
  const length = 1_000_000
  const columns = {
    key: BigUint64Array.from({ length }, (_, i) => BigInt(i)),
    time: new Uint16Array(length),
    flags: new Uint16Array(length),
    id: new Int32Array(length),
  }
  await (await FlashTable.bulkLoad(path, ENCODINGS, [columns])).close()
  return path
}

/** What a table was made with, its metadata, and the bits of all its records. */
async function everythingIn(path: string): Promise<unknown> {
  const table = await FlashTable.open(path, { readOnly: true })
  const { schema } = await table.stats()
  const rows: unknown[] = []
  for await (const columns of table.scanColumns())
    rows.push(
      Object.entries(columns).map(([name, column]) => [
        name,
        Buffer.from(column.buffer, column.byteOffset, column.byteLength).toString('hex'),
      ]),
    )
  const { duplicates, combine, pageBytes, mode, meta } = table
  await table.close()
  return { schema, duplicates, combine, pageBytes, mode, meta, rows }
}

describe('flashtable dump and load', () => {
  test('write text, and make the same table of it: a file, a pipe, and a second dump is equal', async () => {
    const path = await smallTable()
    const before = await imageOf(path)
    const file = freshPath()
    expect((await cli.run('dump', path, file)).stdout).toBe(
      `3 records (${(await readFile(file)).byteLength} bytes) in ${file}\n`,
    )
    const dump = await readFile(file, 'utf8')
    expect(dump.replace(/"[\da-f]{8}"/, '"CRC"')).toBe(DUMP)
    expect(await imageOf(path)).toEqual(before)
    const [first, second] = [freshPath(), freshPath()]
    const loaded = await cli.run('load', file, first)
    expect(loaded.stdout).toMatch(new RegExp(`^loaded +3 records of ${file} into ${first}$`, 'm'))
    expect(await cli.run('dump', first)).toEqual({ code: 0, stdout: dump, stderr: '' })
    expect((await cli.runWith(dump, 'load', '-', second)).stderr).toBe('')
    expect(await everythingIn(second)).toEqual(await everythingIn(path))
  })

  test('keep every bit of all types, order, options and metadata', async () => {
    const mine = {
      name: 'mine',
      format: 'view',
      encode: (value: number) => Uint8Array.of(value),
      decode: (bytes: Uint8Array) => bytes[0]!,
    } as const
    const value = struct({
      big: 'i64',
      half: 'f32',
      ratio: 'f64',
      digest: bytes(2),
      word: fixed('utf8', 4),
      mine: fixed(mine, 1),
    })
    const kinds: OpenOptions<never, never>[] = [
      { keyEncoding: fixed(mine, 1), valueEncoding: value, pageBytes: 8192, mode: 0o640 },
      { keyEncoding: bytes(2), valueEncoding: 'f32', duplicates: 'replace' },
      {
        keyEncoding: 'u32',
        valueEncoding: struct({ n: 'u32', at: 'f64' }),
        combine: { n: 'sum', at: 'min' },
      },
      { keyEncoding: fixed('json', 7) },
    ] as never
    const nan = new Float32Array(Uint32Array.of(0xffc0_0001, 0x7fc0_0000, 0x8000_0000).buffer)
    const columns = [
      {
        key: Uint8Array.of(9, 9, 1),
        big: BigInt64Array.of(-(2n ** 63n), 2n ** 63n - 1n, 0n),
        half: nan,
        ratio: Float64Array.of(-0, Infinity, 0.1),
        digest: Uint8Array.of(255, 0, 1, 2, 3, 4),
        word: Uint8Array.of(44, 10, 123, 34, 0xff, 0xfe, 0, 27, 1, 2, 3, 4),
        mine: Uint8Array.of(1, 2, 3),
      },
      { key: Uint8Array.of(0, 1, 1, 0), value: Float32Array.of(NaN, -0) },
      { key: Uint32Array.of(7, 7, 8), n: Uint32Array.of(1, 2, 3), at: Float64Array.of(NaN, 2, -0) },
      { key: new Uint8Array(Buffer.from('{"a":1}{"b":2}{"a":1}')) },
    ]
    for (const [i, options] of kinds.entries()) {
      const path = freshPath()
      const table = await FlashTable.open(path, options)
      await table.putColumns(columns[i] as never)
      await table.setMeta({ 'up\u009bto': [i, { deep: null }] })
      await table.close()
      const copy = freshPath()
      const { stdout } = await cli.run('dump', path)
      expect(await cli.runWith(stdout, 'load', '-', copy)).toMatchObject({ code: 0, stderr: '' })
      expect(await everythingIn(copy)).toEqual(await everythingIn(path))
    }
  })

  test('of an empty table make an empty table', async () => {
    const path = freshPath()
    await (await FlashTable.open(path, { keyEncoding: 'u8' })).close()
    const { stdout } = await cli.run('dump', path)
    const copy = freshPath()
    expect(await cli.runWith(`${stdout}`, 'load', '-', copy)).toMatchObject({ code: 0 })
    expect(await everythingIn(copy)).toEqual(await everythingIn(path))
  })
})

describe('flashtable dump', () => {
  test('leaves a file alone that is there, unless it is told to --force', async () => {
    const path = await smallTable()
    const file = freshPath()
    await writeFile(file, 'mine')
    const refused = await cli.run('dump', path, file)
    expect([refused.code, refused.stdout]).toEqual([1, ''])
    expect(refused.stderr).toMatch(/^flashtable: FLASHTABLE_EXISTS: [^\n]+ --force replaces it\n$/)
    expect(await readFile(file, 'utf8')).toBe('mine')
    expect(await cli.json('dump', path, file, '--force')).toEqual({
      directory: path,
      file,
      records: 3,
      bytes: (await readFile(file)).byteLength,
    })
    expect((await cli.run('dump', path, '--json')).stderr).toContain('--json needs a FILE')
    expect((await cli.run('dump', path, '-', '--force')).code).toBe(2)
    expect((await cli.run('dump', path, '')).code).toBe(2)
    expect((await cli.run('dump', freshPath(), freshPath())).code).toBe(1)
  })

  test('interrupted, it leaves nothing', async () => {
    const path = await largeTable()
    const file = freshPath()
    const names = async () =>
      (await readdir(dirname(file))).filter(name => name.startsWith(`${basename(file)}.`))
    expect(await interrupted('SIGINT', `${file}.`, 'dump', path, file)).toMatchObject({
      code: 130,
      stdout: '',
    })
    expect([await names(), existsSync(file)]).toEqual([[], false])
  })

  test.runIf(process.platform === 'linux')('tells that nothing can be written', async () => {
    const path = await smallTable()
    expect((await cli.run('dump', path, '/dev/full')).stderr).toMatch(
      /^flashtable: FLASHTABLE_DISK_FULL: \/dev\/full cannot be written[^\n]+\n$/,
    )
    const full = openSync('/dev/full', 'w')
    const child = cli.startInto(full, 'dump', path)
    const [[code], stderr] = await Promise.all([once(child, 'close'), text(child.stderr!)])
    closeSync(full)
    expect([code, stderr]).toEqual([1, expect.stringContaining('FLASHTABLE_DISK_FULL: standard output')])
  })

  test('ends where its reader has seen enough', async () => {
    const child = cli.startInto('pipe', 'dump', await largeTable())
    child.stdout!.once('data', () => child.stdout!.destroy())
    const [[code], stderr] = await Promise.all([once(child, 'close'), text(child.stderr!)])
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  })
})

describe('flashtable load', () => {
  test('refuses a table that holds something, and changes nothing in it', async () => {
    const path = await smallTable()
    const before = await everythingIn(path)
    const file = freshPath()
    await cli.run('dump', path, file)
    const refused = await cli.run('load', file, path)
    expect([refused.code, refused.stderr]).toEqual([1, expect.stringContaining('FLASHTABLE_EXISTS')])
    expect(await everythingIn(path)).toEqual(before)
  })

  test('of a dump that is wrong, or no dump, leaves nothing, and tells why', async () => {
    const { stdout: dump } = await cli.run('dump', await smallTable())
    const wrong = [
      [dump.slice(0, -30), 'standard input is cut'],
      [dump.replace('7,2,1', '7,3,1'), 'was changed after it was written'],
      [dump.replace('8,1,1,-1', '8,1,70000,-1'), 'line 4, column 5: expected field "flags", which is u16'],
    ] as const
    for (const [text, says] of wrong) {
      const path = freshPath()
      const { code, stdout, stderr } = await cli.runWith(text, 'load', '-', path)
      expect({ code, stdout }).toEqual({ code: 1, stdout: '' })
      expect(stderr).toMatch(/^flashtable: WRONG_FILE: [^\n]+; nothing of standard input is in [^\n]+\n$/)
      expect(stderr).toContain(says)
      expect((await cli.run('count', path)).stdout).toBe('0\n')
      expect((await cli.runWith(dump, 'load', '-', path)).code).toBe(0)
    }
    expect((await cli.run('load', '', freshPath())).code).toBe(2)
    const directory = freshPath()
    await mkdir(directory)
    for (const [file, says] of [
      [freshPath(), 'FLASHTABLE_NOT_FOUND: there is no file '],
      [directory, 'directory'],
      ['package.json', 'is no dump'],
      ['/dev/null', 'is no dump'],
    ] as const) {
      const path = freshPath()
      const { code, stderr } = await cli.run('load', file, path)
      expect([code, stderr]).toEqual([1, expect.stringContaining(says)])
      expect(existsSync(path)).toBe(false)
    }
  })

  test('interrupted while its input is silent, it ends and leaves nothing', async () => {
    const { stdout: dump } = await cli.run('dump', await smallTable())
    const path = freshPath()
    const { child, result } = cli.startWith('load', '-', path)
    child.stdin!.write(dump.slice(0, -30))
    await untilOrEnd(child, async () => existsSync(join(path, 'MANIFEST')))
    child.kill('SIGTERM')
    const { code, stdout, stderr } = await result
    expect({ code, stdout }).toEqual({ code: 143, stdout: '' })
    expect(stderr).toContain(`interrupted by SIGTERM; nothing of standard input is in ${path}`)
    expect((await cli.run('count', path)).stdout).toBe('0\n')
  })
})
