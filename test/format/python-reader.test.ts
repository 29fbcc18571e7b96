/**
 * The Python reader, tools/python/flashtable.py, against the library: the same answers, byte for byte, or an error.
 *
 * One Python process reads all tables: test/support/read-table.py.
 */
import { cp, mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { bytes, struct } from '../../src/index.js'
import { readClips, readFingerprints } from '../../tools/demo/fixtures.js'
import { GOLDEN_META } from '../support/golden-text.js'
import { PYTHON, PythonReader, type ReadColumns } from '../support/python-reader.js'
import { Random } from '../support/random.js'
import {
  columnsOf,
  randomRecord,
  SCHEMA_CASES,
  textOf,
  type Key,
  type SchemaCase,
} from '../support/schemas.js'
import { spreadKey, testTables } from '../support/tables.js'
import { until } from '../support/until.js'

const SEED = Number(process.env['FLASHTABLE_SEED'] ?? Date.now() % 1_000_000_000)
const GOLDEN = join(import.meta.dirname, '../fixtures/golden')
const RELEASES = await readdir(GOLDEN)

/** As one type: what tables of any schema take. */
interface AnyTable {
  readonly location: string
  put(key: unknown, value: unknown): Promise<void>
  putColumns(columns: unknown): Promise<unknown>
  del(key: unknown): Promise<void>
  delRecord(key: unknown, value: unknown): Promise<void>
  delWhere(where: object): Promise<void>
  clear(range?: object): Promise<void>
  scanColumns(range?: object): AsyncIterable<Record<string, ArrayBufferView>>
  getColumns(keys: unknown): Promise<Record<string, ArrayBufferView>>
  sync(): Promise<void>
  compact(): Promise<void>
  setMeta(meta: object): Promise<void>
  close(): Promise<void>
}

let directory = ''
let reader: PythonReader
const tables = testTables()

async function opened(name: string, options: object = {}): Promise<AnyTable> {
  return (await tables.open(join(directory, name), options)) as unknown as AnyTable
}

function bytesOf(views: readonly ArrayBufferView[]): Buffer {
  return Buffer.concat(views.map(view => Buffer.from(view.buffer, view.byteOffset, view.byteLength)))
}

async function libraryScan(table: AnyTable, range: object = {}): Promise<Record<string, Buffer>> {
  const parts: Record<string, ArrayBufferView>[] = []
  for await (const columns of table.scanColumns(range)) parts.push(columns)
  const names = Object.keys(parts[0] ?? {})
  return Object.fromEntries(names.map(name => [name, bytesOf(parts.map(part => part[name]!))]))
}

/** Every byte of every column. */
function same(found: ReadColumns, wanted: Readonly<Record<string, Buffer>>): void {
  if (Object.keys(wanted).length === 0) {
    expect(found.count).toBe(0)
    return
  }
  expect(Object.keys(found.columns).sort()).toEqual(Object.keys(wanted).sort())
  for (const [name, bytes] of Object.entries(wanted))
    if (!found.columns[name]!.equals(bytes))
      expect([name, hex(found.columns[name]!)]).toEqual([name, hex(bytes)])
}

function hex(bytes: Buffer): string {
  return bytes.toString('hex')
}

async function sameAsLibrary(table: AnyTable, bounds: Readonly<Record<string, Key>> = {}): Promise<number> {
  const texts = Object.fromEntries(Object.entries(bounds).map(([name, key]) => [name, textOf(key)]))
  const found = await reader.scan(table.location, texts)
  same(found, await libraryScan(table, bounds))
  return found.count
}

const title = 'the Python reader'
const reason = PYTHON === undefined ? ', SKIPPED: there is no python3 (3.11 or later) with numpy' : ''

describe.skipIf(PYTHON === undefined)(`${title}${reason}`, () => {
  beforeAll(() => {
    reader = new PythonReader(PYTHON!)
  })
  afterAll(() => reader.close())
  beforeEach(async () => {
    directory = tables.path()
    await mkdir(directory)
  })

  describe.each(RELEASES)('reads the golden tables of %s', release => {
    test.each(['clean', 'unclean', 'combined'])('%s', async name => {
      await cp(join(GOLDEN, release, name), join(directory, name), { recursive: true })
      const location = join(directory, name)
      // Read first: an open for writing changes the files.
      const found = await reader.scan(location)
      const meta = await reader.value(location, 'json.dumps(table.meta)'.replace('json.dumps', ''))
      const lines = (await readFile(join(location, 'expected.json'), 'utf8')).split('\n').slice(1, -2)
      expect(found.count).toBe(lines.length)
      expect(meta).toContain(`'upTo': ${GOLDEN_META.upTo}`)
      same(found, await libraryScan(await opened(name)))
    })
  })

  test('reads 140,287 music fingerprints, and finds those of a clip', async () => {
    const { key, time, flags, id } = readFingerprints()
    const valueEncoding = struct({ time: 'u16', flags: 'u16', id: 'i32' })
    const options = { keyEncoding: 'u64', valueEncoding, bufferBytes: 2 ** 19 }
    const table = await opened('music', options)
    for (let at = 0; at < key.length; at += 9000) {
      const part = <T extends { subarray(from: number, to: number): T }>(column: T) =>
        column.subarray(at, at + 9000)
      await table.putColumns({ key: part(key), time: part(time), flags: part(flags), id: part(id) })
    }
    expect(await sameAsLibrary(table)).toBe(140_287)
    const clip = readClips()[0]!
    const keys = Array.from(clip.key, String)
    const found = await reader.lookup(table.location, keys, [0, 1, 2])
    const { query, ...wanted } = await table.getColumns(clip.key)
    expect(found.query).toEqual(Array.from(query as Uint32Array))
    expect(found.count).toBeGreaterThan(100)
    const { key: _, ...fields } = found.columns
    same({ count: found.count, columns: fields }, columnBytes(wanted))
    await table.compact()
    expect(await sameAsLibrary(table)).toBe(140_287)
  })

  describe(`answers as the library does (seed ${SEED})`, () => {
    test.each(SCHEMA_CASES)(
      '$name',
      async schema => {
        const random = new Random(SEED)
        const { keyEncoding, valueEncoding, duplicates, combine, pageBytes } = schema
        const stored = { keyEncoding, valueEncoding, duplicates, combine, pageBytes }
        const small = {
          bufferBytes: 2048,
          walBytes: 8192,
          fanout: 4,
          syncIntervalMs: random.pick([0, Infinity]),
        }
        let table = await opened('random', { ...stored, ...small })
        for (let round = 0; round < 8; round++) {
          for (let step = 0; step < 12; step++) await write(table, schema, random)
          if (round === 4) await table.compact()
          if (round === 6) {
            await table.close()
            table = await opened('random', { ...stored, ...small })
          }
          await sameAsLibrary(table)
          await sameRangesAndLookups(table, schema, random)
        }
        await table.close()
        const before = await reader.scan(table.location)
        same(before, await libraryScan(await opened('random', { readOnly: true })))
      },
      30_000,
    )
  })

  test.each<readonly [name: string, keyEncoding: unknown, rows: number, key: (row: number) => bigint]>([
    ['even', 'u32', 300_000, row => BigInt(row)],
    ['even, but for a few bits', 'u64', 50_000, row => BigInt(row) * 1000n + BigInt(row % 7)],
    ['with zeros at their ends', 'u64', 50_000, row => BigInt(row * row) << 22n],
    ['with more zeros than a word', bytes(32), 20_000, row => BigInt(row * 37) << 200n],
    ['of an odd number of lanes', bytes(11), 20_000, row => spreadKey(row) * 0x12345n],
    ['a word apart', bytes(20), 20_000, row => (BigInt(3 * row + (row % 2)) << 61n) + spreadKey(row) / 16n],
    ['at the upper end', bytes(20), 20_000, row => 2n ** 160n - 1n - BigInt(20_000 - row) ** 9n],
    ['all equal', bytes(9), 100_000, () => 2n ** 71n + 1n],
    [
      'dense, with others beyond',
      'u64',
      1_460_000,
      row => (row < 1_300_000 ? BigInt(row) : spreadKey(row) | (1n << 40n)),
    ],
  ])('reads keys that are %s', async (_, keyEncoding, rows, keyOf) => {
    const table = await opened('keys', { keyEncoding, valueEncoding: 'u8', bufferBytes: 2 ** 25 })
    const width =
      typeof keyEncoding === 'string' ? undefined : (keyEncoding as { byteLength: number }).byteLength
    for (let at = 0; at < rows; at += 50_000) {
      const numbers = Array.from({ length: Math.min(50_000, rows - at) }, (_, i) => keyOf(at + i))
      const key =
        keyEncoding === 'u32'
          ? Uint32Array.from(numbers, Number)
          : width === undefined
            ? BigUint64Array.from(numbers)
            : Buffer.from(numbers.map(n => n.toString(16).padStart(2 * width, '0')).join(''), 'hex')
      await table.putColumns({ key, value: new Uint8Array(numbers.length) })
    }
    await table.compact()
    expect(await sameAsLibrary(table)).toBe(rows)
    const keys = [0, 1, rows >> 1, rows - 1].map(row =>
      width === undefined
        ? keyOf(row)
        : Buffer.from(
            keyOf(row)
              .toString(16)
              .padStart(2 * width, '0'),
            'hex',
          ),
    )
    const found = await reader.lookup(table.location, keys.map(textOf), [1])
    const { query } = await table.getColumns(keyEncoding === 'u32' ? keys.map(Number) : keys)
    expect(found.query).toEqual(Array.from(query as Uint32Array))
  })

  test('combines a thousand records of a key from the oldest on', async () => {
    const combine = { i: 'sum', u: 'sum', n: 'sum', f: 'sum', d: 'min' }
    const valueEncoding = struct({ i: 'i64', u: 'u64', n: 'i16', f: 'f32', d: 'f64' })
    const table = await opened('combined', { keyEncoding: 'u8', valueEncoding, combine })
    const random = new Random(SEED)
    for (let batch = 0; batch < 4; batch++) {
      const numbers = Array.from({ length: 500 }, () => random.next() - 2 ** 31)
      await table.putColumns({
        key: Uint8Array.from(numbers, (_, row) => row % 2),
        i: BigInt64Array.from(numbers, n => BigInt(n) * 2n ** 30n),
        u: BigUint64Array.from(numbers, n => BigInt.asUintN(54, BigInt(n))),
        n: Int16Array.from(numbers, n => Math.abs(n) / 1e7),
        f: Float32Array.from(numbers, n => Math.abs(n) / 3),
        d: Float64Array.from(numbers, n => (n % 3 === 0 ? NaN : n / 7)),
      })
    }
    expect(await sameAsLibrary(table)).toBe(2)
  })

  test('reads while a writer goes on, and sees a prefix of what was put each time', async () => {
    const small = { bufferBytes: 4096, walBytes: 8192, fanout: 2, syncIntervalMs: 0 }
    const table = await opened('busy', { keyEncoding: 'u8', valueEncoding: 'i64', ...small })
    const reads = join(directory, 'reads')
    const watching = reader.ask('watch', table.location, { until: 15_000, reads })
    const timesRead = async (): Promise<number> => (await stat(reads).catch(() => undefined))?.size ?? 0
    for (let number = 0; number < 15_000; number += 60) {
      // Where the reader is slow, the writer waits until it has read again.
      const again = until('it has read again', timesRead, times => times >= Math.floor(number / 1000))
      await Promise.race([watching, again])
      const value = BigInt64Array.from({ length: 60 }, (_, i) => BigInt(number + i))
      await table.putColumns({ key: new Uint8Array(60).fill(7), value })
    }
    expect((await watching)['seen']).toBe(15_000)
    expect((await watching)['reads']).toBeGreaterThanOrEqual(14)
  })

  test('begins again where the log was written over after the manifest was read', async () => {
    const table = await opened('overtaken', { keyEncoding: 'u64', valueEncoding: 'u32' })
    for (let i = 0; i < 50; i++) await table.put(BigInt(i), i)
    const [before, next] = [join(directory, 'before'), join(directory, 'next')]
    await cp(table.location, before, { recursive: true })
    await table.compact()
    await table.close()
    await cp(table.location, next, { recursive: true })
    // Its records are in a bucket file.
    for (const name of await readdir(next)) if (name.endsWith('.wal')) await rm(join(next, name))
    const { count, reads } = await reader.ask('overtaken', before, { next })
    expect([count, reads]).toEqual([50, 2])
  })

  test('a scan that was begun goes on as it was, whatever the writer does', async () => {
    const table = await opened('held', { keyEncoding: 'u32', valueEncoding: 'u32', bufferBytes: 65_536 })
    const key = Uint32Array.from({ length: 400_000 }, (_, i) => i)
    for (let at = 0; at < key.length; at += 4000)
      await table.putColumns({ key: key.subarray(at, at + 4000), value: key.subarray(at, at + 4000) })
    await table.compact()
    const held = '[table.__dict__.update(held=table.scan()), len(next(table.held))][1]'
    const first = Number(await reader.value(table.location, held))
    expect(first).toBeLessThan(400_000)
    await table.clear()
    await table.compact()
    expect(await reader.value(table.location, 'table.count()')).toBe('0')
    expect(Number(await reader.value(table.location, 'sum(map(len, table.held))'))).toBe(400_000 - first)
  })

  describe('of a damaged table gives an error or the right answer', () => {
    /** A table with all kinds of pages, and with all kinds of frames, that was closed. */
    async function anyTable(): Promise<string> {
      const random = new Random(SEED)
      const schema = SCHEMA_CASES[0]!
      const { keyEncoding, valueEncoding } = schema
      const small = { bufferBytes: 4096, walBytes: 16_384, fanout: 8 }
      const table = await opened('damaged', { keyEncoding, valueEncoding, ...small })
      for (let step = 0; step < 30; step++) await write(table, schema, random, 100)
      await table.compact()
      for (let step = 0; step < 60; step++) await write(table, schema, random, 60)
      // In the log they stay.
      for (let step = 0; step < 4; step++) await putRandom(table, schema, random, 30)
      // Frames of more rows have a checksum of their own for them.
      for (let step = 0; step < 2; step++) await putRandom(table, schema, random, 100)
      await table.setMeta({ text: 'a'.repeat(200) })
      await table.close()
      return table.location
    }

    test.each([
      ['flip', 60],
      ['cut', 10],
      ['remove', 1],
      ['refit', 60],
    ])(
      '%s',
      async (kind, times) => {
        const location = await anyTable()
        const names = await readdir(location)
        expect(names.filter(name => name.endsWith('.bucket')).length).toBeGreaterThan(1)
        const counts = await reader.ask('damage', location, { kind, times, seed: SEED })
        expect({ ...counts, seed: SEED }).toMatchObject({ wrong: [], seed: SEED })
        expect(counts['refused']).toBeGreaterThan(2)
        if (kind !== 'refit') expect(counts['other']).toBe(0)
      },
      30_000,
    )

    test('two bucket files in place of each other', async () => {
      const location = await anyTable()
      const [a, b] = (await readdir(location)).filter(name => name.endsWith('.bucket'))
      await cp(join(location, a!), join(location, b!))
      const { error } = await reader.ask('error', location, { use: 'table.count()' })
      expect(error).toBe('Corruption')
    })

    test.each([
      ['a first key that is not that of its fence', 8, '05000000'],
      ['values that their type does not have', 20, 'ff010000'],
    ])('%s, with a checksum that fits', async (_, at, hex) => {
      const table = await opened('patched', { keyEncoding: 'u32', valueEncoding: 'u8' })
      for (const key of [4, 7, 9]) await table.put(key, 3 * key)
      await table.compact()
      await table.close()
      const name = (await readdir(table.location)).find(found => found.endsWith('.bucket'))!
      await reader.ask('patch', table.location, { name, at, hex })
      const { error } = await reader.ask('error', table.location, { use: 'table.count()' })
      expect(error).toBe('Corruption')
    })

    test('a frame that is missing is damage where a later one says that it was synced', async () => {
      const options = { keyEncoding: 'u64', valueEncoding: 'u32', syncIntervalMs: Infinity }
      const table = await opened('synced', options)
      for (let i = 0; i < 3; i++) {
        await table.put(BigInt(i), i)
        await table.sync()
      }
      const copy = join(directory, 'copy')
      await cp(table.location, copy, { recursive: true })
      const name = (await readdir(copy)).find(found => found.endsWith('.wal'))!
      const log = await readFile(join(copy, name))
      // Each sync ends on a page boundary.
      const without = (page: number) => Buffer.from(log).fill(0, 4096 * page, 4096 * page + 64)
      await writeFile(join(copy, name), without(2))
      expect((await reader.scan(copy)).count).toBe(2)
      await writeFile(join(copy, name), without(1))
      const { error } = await reader.ask('error', copy, { use: 'table.count()' })
      expect(error).toBe('Corruption')
    })

    test('a log that ends in the middle of a frame ends quietly before it', async () => {
      const table = await opened('torn', {
        keyEncoding: 'u64',
        valueEncoding: 'u32',
        syncIntervalMs: Infinity,
      })
      for (let i = 0; i < 10; i++) await table.put(BigInt(i), i)
      const copy = join(directory, 'copy')
      await cp(table.location, copy, { recursive: true })
      const [name] = (await readdir(copy)).filter(name => name.endsWith('.wal'))
      const log = await readFile(join(copy, name!))
      // Ten small frames: 16 bytes of header, 12 bytes of record.
      await writeFile(join(copy, name!), log.subarray(0, 28 * 9 + 10))
      expect((await reader.scan(copy)).count).toBe(9)
      expect((await reader.scan(table.location)).count).toBe(10)
    })
  })

  test.each([
    ['MANIFEST', / manifest 2 /, ' manifest 3 '],
    ['.bucket', 'FTBK\u0002', 'FTBK\u0003'],
  ])('refuses %s of another version', async (ending, before, after) => {
    const location = join(directory, 'version')
    await cp(join(GOLDEN, RELEASES[0]!, 'clean'), location, { recursive: true })
    const name = (await readdir(location)).find(found => found.endsWith(ending))!
    const text = await readFile(join(location, name), 'latin1')
    await writeFile(join(location, name), text.replace(before, after), 'latin1')
    expect(await reader.ask('error', location, { use: 'table.count()' })).toMatchObject({
      error: 'UnsupportedFormat',
      message: expect.stringMatching(/version 3; this reader knows 2/) as string,
    })
  })

  test.each([
    ['table.get(-1)', 'ValueError', /u64/],
    ['table.get(1 << 64)', 'ValueError', /u64/],
    ['table.get(1.5)', 'TypeError', /u64/],
    ["table.get('1')", 'TypeError', /u64/],
    ['table.lookup(np.array([-1]))', 'ValueError', /u64/],
    ['table.lookup(np.zeros((2, 2), int))', 'ValueError', /dimension/],
    ['table.scan(gt=1, gte=1)', 'ValueError', /gte or gt/],
    ['[table.close(), table.close(), table.get(1)]', 'ValueError', /closed/],
    ['[scan := table.scan(), table.close(), list(scan)]', 'ValueError', /closed/],
  ])('%s is a %s', async (use, error, message) => {
    const location = join(directory, 'arguments')
    await cp(join(GOLDEN, RELEASES[0]!, 'clean'), location, { recursive: true })
    expect(await reader.ask('error', location, { use })).toMatchObject({
      error,
      message: expect.stringMatching(message) as string,
    })
  })

  test('where there is no table it says so', async () => {
    const { error } = await reader.ask('error', join(directory, 'nothing'), { use: 'table.count()' })
    expect(error).toBe('FileNotFoundError')
  })
})

function columnBytes(columns: Record<string, ArrayBufferView>): Record<string, Buffer> {
  return Object.fromEntries(Object.entries(columns).map(([name, column]) => [name, bytesOf([column])]))
}

/** A random change of the table. */
async function write(table: AnyTable, schema: SchemaCase, random: Random, rows = 40): Promise<void> {
  const { combine, fields } = schema
  const record = randomRecord(schema, random)
  switch (random.below(10)) {
    case 0:
      return table.del(record.key)
    case 1:
      return combine === undefined ? table.delRecord(record.key, record.value) : table.del(record.key)
    case 2:
      return combine === undefined && fields.size > 0
        ? table.delWhere(randomWhere(schema, random))
        : undefined
    case 3: {
      const [a, b] = [record.key, schema.randomKey(random)]
      return random.chance(0.1) ? table.clear({ gt: a, lt: b }) : table.clear({ gte: a, lte: a })
    }
    case 4:
    case 5:
      return table.put(record.key, record.value)
    case 6:
      return table.sync()
    case 7: {
      // In one frame.
      const deletes = combine === undefined && fields.size > 0
      const calls = Array.from({ length: random.between(2, 12) }, () => {
        const { key, value } = randomRecord(schema, random)
        if (deletes && random.chance(0.3)) return table.delWhere(randomWhere(schema, random))
        return random.chance(0.2) ? table.del(key) : table.put(key, value)
      })
      await Promise.all(calls)
      return
    }
    default:
      await putRandom(table, schema, random, rows)
  }
}

async function putRandom(table: AnyTable, schema: SchemaCase, random: Random, rows: number): Promise<void> {
  const length = random.between(1, rows)
  await table.putColumns(
    columnsOf(
      schema,
      Array.from({ length }, () => randomRecord(schema, random)),
    ),
  )
}

/** All fields but one are asked for, so that not everything goes each time. */
function randomWhere({ fields }: SchemaCase, random: Random): object {
  const where = [...fields].map(([name, { values }]) => {
    const value = random.pick(values)
    const isNumber = !Number.isNaN(value)
    const compared = random.pick(['lt', 'lte', 'gt', 'gte'])
    return [name, isNumber && random.chance(0.4) ? { [compared]: value } : value] as const
  })
  const without = where.length > 1 && random.chance(0.5) ? random.below(where.length) : -1
  return Object.fromEntries(where.filter((_, i) => i !== without))
}

async function sameRangesAndLookups(table: AnyTable, schema: SchemaCase, random: Random): Promise<void> {
  const [a, b] = [schema.randomKey(random), schema.randomKey(random)]
  await sameAsLibrary(table, { [random.pick(['gte', 'gt'])]: a })
  await sameAsLibrary(table, { [random.pick(['gte', 'gt'])]: a, [random.pick(['lte', 'lt'])]: b })
  const keys = Array.from({ length: 30 }, () => schema.randomKey(random))
  const found = await reader.lookup(table.location, keys.map(textOf), [0])
  const { query, ...wanted } = await table.getColumns(keys)
  expect(found.query).toEqual(Array.from(query as Uint32Array))
  const { key: _, ...fields } = found.columns
  if (schema.fields.size > 0) same({ count: found.count, columns: fields }, columnBytes(wanted))
}
