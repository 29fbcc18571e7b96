/** Tables of a contract test: opened in fresh directories, closed and removed when the test ends. */
import { existsSync } from 'node:fs'
import { mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import { afterEach, beforeEach } from 'vitest'
import { inlineExecutor } from '../../src/executor/inline-executor.js'
import {
  FlashTable,
  type CombineOption,
  type KeyEncoding,
  type OpenOptions,
  type TableOptions,
  type TableStats,
  type ValueEncoding,
} from '../../src/index.js'
import { nodeEnvironment, type Environment } from '../../src/table/environment.js'
import { FINGERPRINT } from './fingerprints.js'
import { spoil } from './simulated-environment.js'
import { until } from './until.js'

export * from './fingerprints.js'

export type FingerprintTable = FlashTable<'u64', typeof FINGERPRINT.valueEncoding>

/** So small that some thousand records are sealed, merged, and pushed out of the cache many times. */
export const SMALL = {
  bufferBytes: 4096,
  walBytes: 16_384,
  cacheBytes: 65_536,
  fanout: 3,
  syncIntervalMs: Infinity,
} as const satisfies TableOptions

export interface TestTables {
  /** A path in the test's own directory that nothing has yet. */
  path(): string
  /** Opens a table that is closed when the test ends. */
  open<const K extends KeyEncoding, const V extends ValueEncoding = undefined>(
    location: string,
    options: OpenOptions<K, V>,
  ): Promise<FlashTable<K, V>>
  /** As it was created. */
  open(location: string, options?: TableOptions & CombineOption): Promise<FlashTable>
  /** A table of fingerprints in a fresh directory. */
  fingerprints(options?: TableOptions): Promise<FingerprintTable>
  /** Closes the table and opens it again, with `options` in place of {@link SMALL}. */
  reopen(table: FingerprintTable, options?: TableOptions): Promise<FingerprintTable>
}

/** A file system in memory, where the machine has one: hundreds of syncs cost nothing there. */
const MEMORY = '/dev/shm'

/**
 * To be called once in a file: sets up the hooks.
 *
 * `onDisk`: the way of a user, `FlashTable.open` with its threads, in the directory for temporary files. Else tables
 * lie in memory and compact inline, so that tests with thousands of seals are quick. `keyRows`: as in {@link Environment}.
 */
export function testTables({
  onDisk = false,
  keyRows,
}: { onDisk?: boolean; keyRows?: number } = {}): TestTables {
  const parent = !onDisk && existsSync(MEMORY) ? MEMORY : tmpdir()
  const environment: Environment = {
    ...nodeEnvironment,
    newExecutor: () => inlineExecutor(nodeEnvironment.fileSystem, keyRows),
    memoryFreed: spoil,
    keyRows,
  }
  let root = ''
  let names = 0
  let tables: FlashTable<never, never>[] = []
  beforeEach(async () => {
    root = await mkdtemp(join(parent, 'flashtable-test-'))
  })
  afterEach(async () => {
    await Promise.allSettled(tables.map(table => table.close()))
    tables = []
    await rm(root, { recursive: true })
  })
  const open = async (location: string, options?: unknown): Promise<FlashTable> => {
    const table = onDisk
      ? await FlashTable.open(location, options as TableOptions)
      : await FlashTable.openIn(location, options, environment)
    tables.push(table as unknown as FlashTable<never, never>)
    return table
  }
  const path = (): string => join(root, `${names++}`)
  const openFingerprints = (location: string, options: TableOptions): Promise<FingerprintTable> =>
    open(location, { ...FINGERPRINT, ...options }) as unknown as Promise<FingerprintTable>
  return {
    path,
    open: open as TestTables['open'],
    fingerprints: (options = SMALL) => openFingerprints(path(), options),
    async reopen(table, options = SMALL) {
      await table.close()
      return openFingerprints(table.location, options)
    },
  }
}

/** Everything that an iteration yields. */
export async function collect<T>(iterable: AsyncIterable<T>): Promise<T[]> {
  const items: T[] = []
  for await (const item of iterable) items.push(item)
  return items
}

/** Names, contents and times of all files in the directory: equal only where nothing was written. */
export async function imageOf(directory: string): Promise<unknown[]> {
  const names = (await readdir(directory)).sort()
  return Promise.all(
    names.map(async name => {
      const path = join(directory, name)
      const { mtimeMs, size } = await stat(path)
      return [name, size, mtimeMs, (await readFile(path)).toString('base64')]
    }),
  )
}

/** Sizes of all files in the directory, by name. */
export async function sizesOf(directory: string): Promise<Map<string, number>> {
  const sizes = new Map<string, number>()
  for (const name of await readdir(directory)) {
    // What is gone meanwhile was not there to stay.
    const found = await stat(join(directory, name)).catch(() => undefined)
    if (found !== undefined) sizes.set(name, found.size)
  }
  return sizes
}

/** Whether nothing has changed but the time: `wear` tells how long ago the first byte was written. */
export function isSame(now: TableStats, before: TableStats): boolean {
  return isDeepStrictEqual({ ...now, wear: undefined }, { ...before, wear: undefined })
}

/**
 * Resolves when nothing is sealed or merged any more: the files on disk are those of the table. `fanout` is that of the
 * table: a merge is due where a level has this many files.
 */
export async function settled(table: FingerprintTable, fanout: number = SMALL.fanout): Promise<TableStats> {
  const look = async () => {
    const before = await table.stats()
    const names = [...(await sizesOf(table.location)).keys()]
    const after = await table.stats()
    const buckets = names.filter(name => name.endsWith('.bucket')).length
    const isDue = after.memtable.sealed + after.runs.count > 0 || after.levels.some(count => count >= fanout)
    return { rests: isSame(after, before) && !isDue && buckets === after.files.length, names, stats: after }
  }
  const { stats } = await until(
    'nothing is sealed or merged',
    look,
    ({ rests, names }) => rests && !names.includes('MANIFEST.tmp'),
  )
  return stats
}
