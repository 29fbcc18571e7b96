/**
 * Damage to a table at rest: bytes flipped, files cut, grown, zeroed, swapped, put back from earlier, pages exchanged.
 *
 * After a clean end every open, lookup and scan gives the right answer or says that something is damaged, with file and
 * offset: never a wrong record. `verify` finds what is wrong, `repair` saves the rest and leaves the old table alone.
 * `FLASHTABLE_DAMAGES` tries more places; the seed is printed.
 */
import { beforeAll, describe, expect, test } from 'vitest'
import { FlashTable, FlashTableError, struct } from '../../src/index.js'
import { bucketName, walName } from '../../src/io/file-names.js'
import { repairTable } from '../../src/offline/repair/repair.js'
import { verifyTable } from '../../src/offline/verify.js'
import { Random } from '../support/random.js'
import { simulatedEnvironment } from '../support/simulated-environment.js'
import { SimulatedFileSystem } from '../support/simulated-file-system.js'

const DIRECTORY = '/tables/damaged'
const PAGE_BYTES = 4096
const SEED = Number(process.env['FLASHTABLE_SEED'] ?? Date.now() % 1_000_000)
const PLACES = Number(process.env['FLASHTABLE_DAMAGES'] ?? 400)
const OPTIONS = {
  keyEncoding: 'u64',
  valueEncoding: struct({ time: 'u16', id: 'i32' }),
  bufferBytes: 16_384,
  walBytes: 65_536,
  cacheBytes: 65_536,
  fanout: 4,
  syncIntervalMs: Infinity,
}

const open = (disk: SimulatedFileSystem, options: object = OPTIONS) =>
  FlashTable.openIn(DIRECTORY, options, simulatedEnvironment(disk))

/** Three bucket files, a merge behind them, deletes, and a log; ended cleanly. */
async function makeTable(records: number): Promise<SimulatedFileSystem> {
  const disk = new SimulatedFileSystem({ seed: 1 })
  disk.writeFile('/tables/.keep', new Uint8Array(0))
  const table = await open(disk)
  for (let i = 0; i < records; i++) await table.put((i * 7919) % 4001, { time: i % 1000, id: i % 7 })
  await table.del(7919)
  await table.delWhere({ id: 3 })
  await table.put(5, { time: 1, id: 1 })
  await table.close()
  return disk
}

async function contents(table: FlashTable): Promise<string> {
  const texts: string[] = []
  for await (const [key, value] of table.entries()) texts.push(`${String(key)}:${JSON.stringify(value)}`)
  return texts.join(' ')
}

let disk: SimulatedFileSystem
let right: string
let files: string[]

beforeAll(async () => {
  disk = await makeTable(6000)
  const table = await open(disk.clone(), { ...OPTIONS, readOnly: true })
  right = await contents(table)
  const { levels } = await table.stats()
  await table.close()
  // Spare log segments hold nothing: only what the manifest names can be damaged.
  const json = Buffer.from(disk.readFile(`${DIRECTORY}/MANIFEST`))
    .toString()
    .replace(/^.*\n/, '')
  const manifest = JSON.parse(json) as { files: { number: number }[]; log: { closed: { number: number }[] } }
  files = [
    `${DIRECTORY}/MANIFEST`,
    ...manifest.files.map(({ number }) => `${DIRECTORY}/${bucketName(number)}`),
    ...manifest.log.closed.map(({ number }) => `${DIRECTORY}/${walName(number)}`),
  ]
  expect(levels.length).toBeGreaterThan(1)
  expect(files.some(path => path.endsWith('.wal'))).toBe(true)
})

/** What a reader sees of a damaged table: the right records, or the error that says so. */
async function read(damaged: SimulatedFileSystem): Promise<'right' | FlashTableError> {
  try {
    const table = await open(damaged, { ...OPTIONS, readOnly: true })
    try {
      const found = await contents(table)
      expect(found === right, 'a wrong answer').toBe(true)
      return 'right'
    } finally {
      await table.close()
    }
  } catch (error) {
    if (!(error instanceof FlashTableError)) throw error
    return error
  }
}

/** Reads, verifies and opens for writing; returns whether the damage was met by the reader. */
async function check(damaged: SimulatedFileSystem, what: string): Promise<boolean> {
  const outcome = await read(damaged.clone()).catch((error: unknown) => {
    throw new Error(`${what}: ${(error as Error).message}`, { cause: error })
  })
  const { problems } = await verifyTable(DIRECTORY, { fileSystem: damaged.clone() })
  if (outcome === 'right') return false
  expect(['FLASHTABLE_CORRUPTION', 'FLASHTABLE_UNSUPPORTED_FORMAT'], what).toContain(outcome.code)
  if (outcome.code === 'FLASHTABLE_CORRUPTION') expect(outcome.message, what).toMatch(/offset \d+|schema/)
  expect(problems.length, what).toBeGreaterThan(0)
  // The writer says so too, or finds no need of what is damaged; it never makes it worse than the reader found it.
  const written = damaged.clone()
  const table = await open(written).catch((error: unknown) => error as FlashTableError)
  if (table instanceof FlashTable) await table.close()
  else expect(table, what).toBeInstanceOf(FlashTableError)
  return true
}

describe(`after a clean end (seed ${SEED})`, () => {
  test('a flipped byte in any file is found, or does no harm', async () => {
    const random = new Random(SEED)
    let found = 0
    for (const path of files) {
      const { length } = disk.readFile(path)
      const all = path.endsWith('MANIFEST')
      const places = all ? length : Math.min(length, Math.ceil(PLACES / files.length))
      for (let i = 0; i < places; i += all ? 3 : 1) {
        const offset = all ? i : random.below(length)
        const flip = 1 << random.below(8)
        const damaged = disk.clone()
        damaged.flipByte(path, offset, flip)
        if (await check(damaged, `${path} byte ${offset} xor ${flip}`)) found++
      }
    }
    expect(found).toBeGreaterThan(100)
  })

  test('cut, grown, emptied and zeroed files are found', async () => {
    const random = new Random(SEED + 1)
    for (const path of files) {
      const bytes = disk.readFile(path)
      const variants: [string, Uint8Array][] = [
        ['emptied', new Uint8Array(0)],
        ['zeroed', new Uint8Array(bytes.length)],
        ['random', random.bytes(bytes.length)],
        ['cut by a byte', bytes.subarray(0, -1)],
        ['cut in half', bytes.subarray(0, bytes.length >>> 1)],
        ['cut by a page', bytes.subarray(0, Math.max(0, bytes.length - PAGE_BYTES))],
      ]
      for (const [what, changed] of variants) {
        const damaged = disk.clone()
        damaged.writeFile(path, changed)
        // The log may have zeros behind its end: a page less of them does no harm.
        const found = await check(damaged, `${path} ${what}`)
        if (!path.endsWith('.wal')) expect(found, `${path} ${what}`).toBe(true)
      }
      const grown = disk.clone()
      grown.writeFile(path, Buffer.concat([bytes, random.bytes(PAGE_BYTES)]))
      await check(grown, `${path} grown`)
    }
  })

  test('missing and swapped files are found', async () => {
    const live = files.filter(path => !path.endsWith('MANIFEST'))
    for (const path of files) {
      const damaged = disk.clone()
      damaged.removeFile(path)
      expect(await check(damaged, `${path} missing`), path).toBe(true)
    }
    for (const [i, path] of live.entries()) {
      const other = live[(i + 1) % live.length]!
      const damaged = disk.clone()
      damaged.writeFile(path, disk.readFile(other))
      damaged.writeFile(other, disk.readFile(path))
      expect(await check(damaged, `${path} and ${other} swapped`), path).toBe(true)
    }
  })

  test('pages exchanged within a file and between files are found', async () => {
    const buckets = files.filter(path => path.endsWith('.bucket'))
    for (const [i, path] of buckets.entries()) {
      const bytes = disk.readFile(path)
      const other = disk.readFile(buckets[(i + 1) % buckets.length]!)
      for (const from of [bytes.subarray(PAGE_BYTES, 2 * PAGE_BYTES), other.subarray(0, PAGE_BYTES)]) {
        const changed = Uint8Array.from(bytes)
        changed.set(from, 0)
        const damaged = disk.clone()
        damaged.writeFile(path, changed)
        expect(await check(damaged, `${path} with another page first`)).toBe(true)
      }
    }
  })

  test('files of another table are found', async () => {
    const foreign = new SimulatedFileSystem({ seed: 2 })
    foreign.writeFile('/tables/.keep', new Uint8Array(0))
    const environment = {
      ...simulatedEnvironment(foreign),
      randomBytes: (count: number) => new Uint8Array(count).fill(9),
    }
    const table = await FlashTable.openIn(DIRECTORY, OPTIONS, environment)
    for (let i = 0; i < 6000; i++) await table.put((i * 7919) % 4001, { time: i % 1000, id: i % 7 })
    await table.close()
    const theirs = foreign.files().filter(path => files.includes(path) && !path.endsWith('MANIFEST'))
    expect(theirs.length).toBeGreaterThan(0)
    for (const path of theirs) {
      const damaged = disk.clone()
      damaged.writeFile(path, foreign.readFile(path))
      expect(await check(damaged, `${path} of another table`), path).toBe(true)
    }
  })

  test('an old manifest put back is found, or shows what it showed then', async () => {
    const earlier = disk.readFile(`${DIRECTORY}/MANIFEST`)
    const later = disk.clone()
    const table = await open(later)
    await table.put(77, { time: 9, id: 9 })
    await table.compact()
    await table.close()
    later.writeFile(`${DIRECTORY}/MANIFEST`, earlier)
    // Its files are gone, so it cannot be believed.
    expect(await check(later, 'the manifest of an earlier day')).toBe(true)
  })
})

describe('repair', () => {
  test('saves what is intact, tells what is lost, and leaves the old table byte for byte', async () => {
    const path = files.find(name => name.endsWith('.bucket'))!
    const damaged = disk.clone()
    damaged.flipByte(path, PAGE_BYTES + 100)
    const before = damaged.files().map(name => [name, damaged.readFile(name)] as const)
    const into = '/tables/saved'
    const environment = simulatedEnvironment(damaged)
    const { records, losses } = await repairTable(DIRECTORY, into, { environment })
    expect(losses.length).toBeGreaterThan(0)
    expect(losses[0]).toMatchObject({ file: path, offset: PAGE_BYTES })
    expect(records).toBeGreaterThan(3000)
    for (const [name, bytes] of before) expect(Buffer.compare(bytes, damaged.readFile(name)), name).toBe(0)
    const saved = await FlashTable.openIn(into, {}, environment)
    const all = new Set(right.split(' '))
    const found = (await contents(saved)).split(' ')
    await saved.close()
    expect(found.length).toBeGreaterThan(0.5 * all.size)
    expect(found.filter(record => !all.has(record))).toEqual([])
  })

  test('of an undamaged table loses nothing', async () => {
    const whole = disk.clone()
    const environment = simulatedEnvironment(whole)
    expect((await repairTable(DIRECTORY, '/tables/saved', { environment })).losses).toEqual([])
    const saved = await FlashTable.openIn('/tables/saved', {}, environment)
    expect(await contents(saved)).toBe(right)
    await saved.close()
  })

  test('without the manifest needs the schema, and then saves all that lies in bucket files and log', async () => {
    const damaged = disk.clone()
    damaged.flipByte(`${DIRECTORY}/MANIFEST`, 200)
    const environment = simulatedEnvironment(damaged)
    await expect(repairTable(DIRECTORY, '/tables/saved', { environment })).rejects.toMatchObject({
      code: 'FLASHTABLE_CORRUPTION',
    })
    const { keyEncoding, valueEncoding } = OPTIONS
    const { losses } = await repairTable(DIRECTORY, '/tables/saved', {
      environment,
      keyEncoding,
      valueEncoding,
    })
    expect(losses.map(({ reason }) => reason)).toEqual(['the manifest'])
    const saved = await FlashTable.openIn('/tables/saved', {}, environment)
    expect(await contents(saved)).toBe(right)
    await saved.close()
  })
})
