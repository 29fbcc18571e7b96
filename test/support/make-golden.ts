/**
 * Makes the golden tables of a release: `npx tsx test/support/make-golden.ts 0.1`.
 *
 * Run once for each release that changes the format, never to make a test pass; tables that are there stay as they are: later releases must read these very
 * files. Beside each table stands `expected.json`, which holds the records that a plain model has after the same calls.
 * test/format/golden.test.ts reads them.
 */
import { existsSync } from 'node:fs'
import { cp, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { inlineExecutor } from '../../src/executor/inline-executor.js'
import { FRAME_ALIGNMENT, FRAME_HEADER_BYTES } from '../../src/format/frame-layout.js'
import { bytes, directoryStore, FlashTable, fixed, struct } from '../../src/index.js'
import { nodeFileSystem } from '../../src/io/node-file-system.js'
import { nodeEnvironment } from '../../src/table/environment.js'
import { combinedValue } from './combine.js'
import { GOLDEN_META, goldenText, type GoldenRecord, type GoldenValue } from './golden-text.js'
import { fileSeed, lanesOf, readFrame, readManifest } from './independent-reader.js'
import { Random } from './random.js'
import { until } from './until.js'

/** The calls that both the table and the model take. */
interface Writer {
  put(key: unknown, value: unknown, options?: { sync?: boolean }): Promise<void>
  del(key: unknown): Promise<void>
  delRecord(key: unknown, value: unknown): Promise<void>
  delWhere(where: unknown): Promise<void>
  clear(range: unknown): Promise<void>
}

/** What a table is, without a table. */
class Model {
  readonly #replace: boolean
  readonly #combine: Readonly<Record<string, readonly [type: string, operator: string]>> | undefined
  records: GoldenRecord[] = []

  constructor(
    replace: boolean,
    combine?: Readonly<Record<string, readonly [type: string, operator: string]>>,
  ) {
    this.#replace = replace
    this.#combine = combine
  }

  put(key: GoldenValue, value: Readonly<Record<string, GoldenValue>>): void {
    const older = this.records.find(record => goldenText(record.key) === goldenText(key))
    if (this.#replace || this.#combine !== undefined) this.del(key)
    if (this.#combine === undefined || older === undefined) {
      this.records.push({ key, value })
      return
    }
    const combined = Object.entries(this.#combine).map(
      ([name, [type, operator]]) =>
        [name, combinedValue(type, operator, older.value[name], value[name]) as GoldenValue] as const,
    )
    this.records.push({ key, value: Object.fromEntries(combined) })
  }

  del(key: GoldenValue): void {
    this.#drop(record => goldenText(record.key) === goldenText(key))
  }

  delRecord(key: GoldenValue, value: Readonly<Record<string, GoldenValue>>): void {
    this.#drop(record => goldenText([record.key, record.value]) === goldenText([key, value]))
  }

  delWhere(where: Readonly<Record<string, GoldenValue>>): void {
    const names = Object.keys(where)
    this.#drop(({ value }) => names.every(name => goldenText(value[name]) === goldenText(where[name])))
  }

  /** `where`: fields, some of them less than a bound. */
  delWhereLess(where: Readonly<Record<string, GoldenValue | { readonly lt: number }>>): void {
    this.#drop(({ value }) =>
      Object.entries(where).every(([name, wanted]) =>
        typeof wanted === 'object' && 'lt' in wanted
          ? Number(value[name]) < wanted.lt
          : goldenText(value[name]) === goldenText(wanted),
      ),
    )
  }

  /** Keys from `gte` on, below `lt`. */
  clear({ gte, lt }: { readonly gte: bigint; readonly lt: bigint }): void {
    this.#drop(({ key }) => (key as bigint) >= gte && (key as bigint) < lt)
  }

  #drop(dropped: (record: GoldenRecord) => boolean): void {
    this.records = this.records.filter(record => !dropped(record))
  }
}

/** So small that some hundred records are sealed and merged. */
const SMALL = { bufferBytes: 1024, walBytes: 8192, fanout: 3, syncIntervalMs: Infinity } as const

const FINGERPRINT = {
  keyEncoding: 'u64',
  valueEncoding: struct({ time: 'u16', flags: 'u16', id: 'i32' }),
} as const

/** Every type of field. */
const EVERY_TYPE = {
  keyEncoding: bytes(6),
  valueEncoding: struct({
    a: 'u8',
    b: 'u16',
    c: 'u32',
    d: 'u64',
    e: 'i8',
    f: 'i16',
    g: 'i32',
    h: 'i64',
    i: 'f32',
    j: 'f64',
    k: bytes(7),
    l: fixed('hex', 3),
  }),
} as const

/** Opens a table whose compactions run inline, so that nothing depends on when a thread starts. */
async function open(directory: string, options: object): Promise<Writer & FlashTable> {
  const environment = { ...nodeEnvironment, newExecutor: () => inlineExecutor(nodeFileSystem) }
  const table = await FlashTable.openIn(directory, { ...SMALL, ...options }, environment)
  return table as unknown as Writer & FlashTable
}

/** A multimap with all kinds of operations in bucket files of several levels and in the log; ended cleanly, thrice. */
async function makeClean(directory: string): Promise<GoldenRecord[]> {
  const random = new Random(1)
  const model = new Model(false)
  let table = await open(directory, { ...FINGERPRINT, mode: 0o640 })
  for (let i = 0; i < 790; i++) {
    if (i === 770 || i === 781) {
      await table.close()
      table = await open(directory, {})
    }
    // Some keys have many records, some differ in their high half alone.
    const key = BigInt(random.below(150)) << BigInt(random.pick([0, 0, 0, 31, 56]))
    const value = { time: random.below(65_536), flags: random.below(2), id: random.below(40) - 20 }
    await table.put(key, value)
    model.put(key, value)
    const chosen = random.pick(model.records)
    if (i % 23 === 0) {
      await table.del(chosen.key)
      model.del(chosen.key)
    } else if (i % 13 === 0) {
      await table.delRecord(chosen.key, chosen.value)
      model.delRecord(chosen.key, chosen.value)
    } else if (i % 97 === 0) {
      const where = { flags: chosen.value['flags']!, id: chosen.value['id']! }
      await table.delWhere(where)
      model.delWhere(where)
    } else if (i % 97 === 41) {
      const where = { time: { lt: 6000 }, flags: 1 }
      await table.delWhere(where)
      model.delWhereLess(where)
    } else if (i % 97 === 60) {
      const gte = BigInt(random.below(150))
      const range = { gte, lt: gte + 9n }
      await table.clear(range)
      model.clear(range)
    }
    if (i % 100 === 0) await table.sync()
    await settled(table)
  }
  await table.setMeta(GOLDEN_META)
  await table.close()
  return model.records
}

/**
 * A table with all types of fields that replaces; as the disk is after a crash: the log open, its last frame torn.
 * Copied while the table was open.
 */
async function makeUnclean(directory: string): Promise<GoldenRecord[]> {
  const random = new Random(2)
  const model = new Model(true)
  const source = `${directory}-open`
  const table = await open(source, {
    ...EVERY_TYPE,
    duplicates: 'replace',
    pageBytes: 8192,
    walBytes: 65_536,
  })
  await table.setMeta(GOLDEN_META)
  const put = async (sync: boolean): Promise<void> => {
    const key = Uint8Array.of(0, random.below(2), 0, 0, 1, random.below(90))
    const value = everyType(random)
    await table.put(key, value, { sync })
    model.put(key, value)
  }
  for (let i = 0; i < 236; i++) {
    await put(i % 16 === 0)
    const chosen = random.pick(model.records)
    if (i % 17 === 0) {
      await table.del(chosen.key)
      model.del(chosen.key)
    } else if (i % 11 === 0) {
      await table.delRecord(chosen.key, chosen.value)
      model.delRecord(chosen.key, chosen.value)
    } else if (i % 71 === 0) {
      const where = { a: chosen.value['a']! }
      await table.delWhere(where)
      model.delWhere(where)
    } else if (i === 231) {
      const where = { b: { lt: 30_000 }, j: { lt: 1 } }
      await table.delWhere(where)
      model.delWhereLess(where)
    }
    await settled(table)
  }
  await table.sync()
  for (let i = 0; i < 3; i++) await put(false)
  const { records } = model
  await table.put(Uint8Array.of(9, 9, 9, 9, 9, 9), everyType(random))
  await cp(source, directory, { recursive: true })
  await table.close()
  await rm(source, { recursive: true })
  await tearLastFrame(directory)
  return records
}

/** Each operator once at least, and each width. Sums that overflow are unsigned. */
const COMBINED = {
  a: ['u8', 'sum'],
  b: ['u16', 'and'],
  c: ['u32', 'min'],
  d: ['u64', 'sum'],
  e: ['i8', 'or'],
  f: ['i16', 'min'],
  g: ['i32', 'and'],
  h: ['i64', 'max'],
  i: ['f32', 'max'],
  j: ['f64', 'min'],
  k: ['bytes', 'first'],
  l: ['hex', 'last'],
} as const

/** A table with all types of fields that combines, with deletes, in files of several levels and in the log. */
async function makeCombined(directory: string): Promise<GoldenRecord[]> {
  const random = new Random(3)
  const model = new Model(false, COMBINED)
  const combine = Object.fromEntries(Object.entries(COMBINED).map(([name, [, operator]]) => [name, operator]))
  const table = await open(directory, { ...EVERY_TYPE, combine, walBytes: 65_536 })
  await table.setMeta(GOLDEN_META)
  for (let i = 0; i < 240; i++) {
    const key = Uint8Array.of(0, random.below(2), 0, 0, 1, random.below(30))
    const value = everyType(random)
    await table.put(key, value)
    model.put(key, value)
    if (i % 19 === 0) {
      const chosen = random.pick(model.records)
      await table.del(chosen.key)
      model.del(chosen.key)
    }
    await settled(table)
  }
  await table.close()
  return model.records
}

function everyType(random: Random): Readonly<Record<string, GoldenValue>> {
  const signed64 = BigInt.asIntN(64, (BigInt(random.next()) << 32n) | BigInt(random.next()))
  return {
    a: random.below(5),
    b: random.below(65_536),
    c: random.next(),
    d: BigInt.asUintN(64, signed64),
    e: random.between(-128, 127),
    f: random.between(-32_768, 32_767),
    g: random.next() | 0,
    h: signed64,
    i: Math.fround(random.next() / 1000),
    j: random.pick([Math.PI, -0, Infinity, Number.MIN_VALUE, random.next() / 7]),
    k: random.bytes(7),
    l: Buffer.from(random.bytes(3)).toString('hex'),
  }
}

/** Destroys the second half of the last frame. Behind it there may be older frames: segments are used again. */
async function tearLastFrame(directory: string): Promise<void> {
  const manifest = readManifest(directory)
  const names = (await readdir(directory)).filter(name => name.endsWith('.wal')).sort()
  const path = join(directory, names.at(-1)!)
  const content = await readFile(path)
  const number = Number.parseInt(names.at(-1)!, 10)
  const seed = fileSeed(Buffer.from(manifest.tableId, 'hex'), manifest.epoch, number)
  let last: { readonly offset: number; readonly end: number; readonly sequence: number } | undefined
  for (let offset = 0; offset + FRAME_HEADER_BYTES <= content.byteLength; offset += FRAME_ALIGNMENT) {
    const frame = readFrame(content, offset, seed, lanesOf(manifest))
    if (frame?.end === undefined || (last !== undefined && frame.firstSequence < last.sequence)) continue
    last = { offset, end: frame.end, sequence: frame.firstSequence }
  }
  if (last === undefined) throw new Error(`${path} has no frame`)
  content.fill(0, Math.floor((last.offset + last.end) / 2), last.end)
  await writeFile(path, content)
}

/** Waits until nothing is sealed and no level is full. */
async function settled(table: FlashTable): Promise<void> {
  await until(
    'nothing is sealed or due for a merge',
    () => table.stats(),
    ({ memtable, runs, levels }) =>
      memtable.sealed + runs.count === 0 && levels.every(files => files < SMALL.fanout),
  )
}

/** Of each version that is published: by its number. */
type Versions = Record<string, GoldenRecord[]>

/** A table that is published four times, from two directories: merges between, a name, versions that share files. */
async function makePublished(directory: string): Promise<Versions> {
  const random = new Random(4)
  const model = new Model(false)
  const store = directoryStore(join(directory, 'store'))
  const versions: Versions = {}
  let table = await open(`${directory}-first`, FINGERPRINT)
  await table.setMeta(GOLDEN_META)
  for (let version = 1; version <= 4; version++) {
    if (version === 3) {
      await table.close()
      // Another machine takes over.
      await FlashTable.restore(store, `${directory}-second`)
      table = await open(`${directory}-second`, {})
    }
    for (let i = 0; i < 90; i++) {
      const key = BigInt(random.below(60)) << BigInt(random.pick([0, 31, 56]))
      const value = { time: random.below(65_536), flags: random.below(2), id: random.below(40) - 20 }
      await table.put(key, value)
      model.put(key, value)
      if (i % 23 !== 11) continue
      const chosen = random.pick(model.records)
      await table.del(chosen.key)
      model.del(chosen.key)
    }
    await settled(table)
    if (version === 4) await table.compact()
    const options = version === 2 ? { name: 'kept', expires: new Date('2100-01-01') } : {}
    await table.publish(store, { ...options, takeOver: version === 3, retention: '36500d' })
    versions[version] = [...model.records]
  }
  await table.close()
  await store.close()
  for (const name of ['first', 'second']) await rm(`${directory}-${name}`, { recursive: true })
  return versions
}

/** One record a line. */
function linesOf(records: readonly GoldenRecord[]): string {
  return `[\n${records.map(goldenText).join(',\n')}\n]\n`
}

const version = process.argv[2]
if (version === undefined || !/^\d+\.\d+$/.test(version)) throw new Error('usage: make-golden.ts MAJOR.MINOR')
const target = join(import.meta.dirname, '../fixtures/golden', version)
const work = await mkdtemp(join(tmpdir(), 'flashtable-golden-'))
try {
  for (const [name, make] of Object.entries({
    clean: makeClean,
    unclean: makeUnclean,
    combined: makeCombined,
  })) {
    // Golden tables are made once.
    if (existsSync(join(target, name))) continue
    const records = await make(join(work, name))
    await mkdir(join(target, name), { recursive: true })
    for (const file of await readdir(join(work, name))) {
      if (!file.startsWith('LOCK')) await cp(join(work, name, file), join(target, name, file))
    }
    await writeFile(join(target, name, 'expected.json'), linesOf(records))
  }
  if (!existsSync(join(target, 'published'))) {
    const versions = await makePublished(join(work, 'published'))
    await cp(join(work, 'published'), join(target, 'published'), { recursive: true })
    for (const [number, records] of Object.entries(versions))
      await writeFile(join(target, 'published', `expected-${number}.json`), linesOf(records))
  }
} finally {
  await rm(work, { recursive: true })
}
