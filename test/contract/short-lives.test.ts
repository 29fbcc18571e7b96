/** Tables of many short lives: as few files and segments as after one long life, and little written by each open. */
import { describe, expect, test } from 'vitest'
import { FlashTable, type TableStats } from '../../src/index.js'
import { bucketName } from '../../src/io/file-names.js'
import type { Executor } from '../../src/jobs/job.js'
import { simulatedEnvironment } from '../support/simulated-environment.js'
import { SimulatedFileSystem } from '../support/simulated-file-system.js'

const DIRECTORY = '/tables/short'
// Small memory: an open takes as long as it takes to clear it.
const OPTIONS = {
  keyEncoding: 'u64',
  syncIntervalMs: Infinity,
  bufferBytes: 2 ** 20,
  cacheBytes: 2 ** 16,
} as const
type Keys = FlashTable<'u64'>

/** How a life ends. */
type End = 'close' | 'kill'

interface Life {
  readonly stats: TableStats
  readonly files: readonly string[]
  readonly bytesWritten: number
}

/** Lives so short that no merge that runs beside the program ever comes to its end. */
class ShortLives {
  #disk = new SimulatedFileSystem({ seed: 1 })
  #records = 0

  constructor() {
    this.#disk.writeFile('/tables/.keep', new Uint8Array(0))
  }

  get records(): number {
    return this.#records
  }

  async open(options: object = {}): Promise<Keys> {
    const disk = this.#disk
    const calls = disk.calls
    const environment = simulatedEnvironment(disk)
    const newExecutor = (): Executor => {
      const inline = environment.newExecutor()
      return {
        ...inline,
        run: async (job, control) => {
          const opened = disk.log.slice(calls).some(({ target }) => target?.endsWith('/MANIFEST'))
          if (opened && job.files.some(({ memory }) => memory === undefined)) await aborted(control.signal!)
          return inline.run(job, control)
        },
      }
    }
    const table = await FlashTable.openIn(
      DIRECTORY,
      { ...OPTIONS, ...options },
      { ...environment, newExecutor },
    )
    return table as unknown as Keys
  }

  async live(records: number, end: End): Promise<Life> {
    const before = this.#disk.bytesWritten
    const table = await this.open()
    const key = BigUint64Array.from({ length: records }, (_, i) => spread(this.#records + i))
    await table.putColumns({ key })
    this.#records += records
    const stats = await table.stats()
    const disk = this.#disk
    if (end === 'close') await table.close()
    else {
      this.#disk = disk.clone()
      disk.crashNow()
      await table.close().catch(() => {})
    }
    const names = this.#disk.files().filter(path => path.startsWith(DIRECTORY))
    return { stats, files: names, bytesWritten: disk.bytesWritten - before }
  }

  async expectAll(): Promise<void> {
    const table = await this.open()
    let found = 0
    for await (const { key } of table.scanColumns()) found += key.length
    expect(found).toBe(this.#records)
    for (let i = 0; i < this.#records; i += 997) expect(await table.count(spread(i))).toBe(1)
    await table.close()
  }
}

const spread = (i: number): bigint => BigInt(Math.imul(i, 0x9e3779b1) >>> 0)

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise(resolve => {
    if (signal.aborted) resolve()
    else signal.addEventListener('abort', () => resolve(), { once: true })
  })
}

const of = (lives: readonly Life[], suffix: string): number =>
  Math.max(...lives.map(({ files }) => files.filter(name => name.endsWith(suffix)).length))

describe.each<[string, (life: number) => End]>([
  ['are closed', () => 'close'],
  ['are killed', () => 'kill'],
  ['are closed or killed', life => (life % 3 === 1 ? 'kill' : 'close')],
])('lives of a put or a few that %s', (_name, endOf) => {
  test.each([1, 100])(
    'leave few files and segments, and each writes little: %i records each',
    async records => {
      const table = new ShortLives()
      const lives: Life[] = []
      for (let life = 0; life < 200; life++) lives.push(await table.live(records, endOf(life)))
      expect(of(lives, '.bucket')).toBeLessThanOrEqual(8)
      // Eight closed ones, two spares, and the active one.
      expect(of(lives, '.wal')).toBeLessThanOrEqual(11)
      const bytes = lives.reduce((sum, { bytesWritten }) => sum + bytesWritten, 0)
      expect(bytes / lives.length).toBeLessThanOrEqual(64 * 1024)
      await table.expectAll()
    },
  )
})

test('a table of many files, of lives with another fanout, has few after an open', async () => {
  const table = new ShortLives()
  const writer = await table.open({ bufferBytes: 1024, walBytes: 4096, fanout: 64 })
  for (let i = 0; i < 60; i++)
    await writer.putColumns({ key: BigUint64Array.from({ length: 128 }, () => 1n) })
  await writer.close()
  const many = await table.open({ bufferBytes: 1024, walBytes: 4096, fanout: 64 })
  expect((await many.stats()).files.length).toBeGreaterThan(50)
  await many.close()
  const few = await table.open()
  // Not all of one level.
  expect((await few.stats()).files.length).toBeLessThan(24)
  expect(await few.count(1n)).toBe(60 * 128)
  await few.close()
})

describe('where a file that an open would merge cannot be read', () => {
  test('the table opens with it as it is, and with all records of the log', async () => {
    const disk = new SimulatedFileSystem({ seed: 1 })
    disk.writeFile('/tables/.keep', new Uint8Array(0))
    const open = async (disk: SimulatedFileSystem) =>
      (await FlashTable.openIn(DIRECTORY, OPTIONS, simulatedEnvironment(disk))) as unknown as Keys
    const first = await open(disk)
    await first.put(1n, undefined)
    await first.compact()
    await first.put(2n, undefined)
    disk.crashNow()
    const killed = disk.clone()
    const bucket = killed.files().find(name => name.endsWith('.bucket'))!
    const bytes = killed.readFile(bucket)
    // In the first page, which holds records.
    bytes[100]! ^= 1
    killed.writeFile(bucket, bytes)
    const again = await open(killed)
    expect(await again.count(2n)).toBe(1)
    await expect(again.count(1n)).rejects.toMatchObject({ code: 'FLASHTABLE_CORRUPTION' })
    expect((await again.stats()).files.length).toBe(2)
    await again.close()
  })
})

test('what a merge that failed in an open has left of its output is gone when the table is open', async () => {
  const disk = new SimulatedFileSystem({ seed: 1 })
  disk.writeFile('/tables/.keep', new Uint8Array(0))
  const environment = simulatedEnvironment(disk)
  let left: string | undefined
  const newExecutor = (): Executor => {
    const inline = environment.newExecutor()
    return {
      ...inline,
      // As where the thread dies that runs it.
      async run(job, control) {
        if (left !== undefined || job.files.every(({ memory }) => memory !== undefined))
          return inline.run(job, control)
        left = `${job.directory}/${bucketName(job.output.number)}`
        await (await disk.open(left, 'create')).close()
        throw new Error('the compaction thread ended with exit code 1')
      },
    }
  }
  for (let life = 0; life < 3; life++) {
    const table = (await FlashTable.openIn(DIRECTORY, OPTIONS, {
      ...environment,
      newExecutor,
    })) as unknown as Keys
    if (left !== undefined) expect(disk.files()).not.toContain(left)
    await table.put(BigInt(life), undefined)
    // It never closes: the next open finds its log.
  }
  expect(left).toBeDefined()
})
