/**
 * Whatever call of the file system fails in whatever way: what a public call rejects with is a `FlashTableError` with
 * a code, and its message names the table. docs/api.md, Errors.
 */
import { describe, expect, test } from 'vitest'
import { FlashTableError } from '../../src/index.js'
import { verifyTable } from '../../src/offline/verify.js'
import { SimulatedFileSystem } from '../support/simulated-file-system.js'
import {
  bulkLoadOn,
  columnsOf,
  DIRECTORY,
  MEMTABLE_RECORDS,
  openOn,
  type CrashTable,
  type OpenOptions,
} from './table.js'

const ERRNOS = [
  'EIO',
  'EACCES',
  'EPERM',
  'EROFS',
  'EMFILE',
  'ENFILE',
  'ENOMEM',
  'ENOSPC',
  'EDQUOT',
  'EFBIG',
  'ENOENT',
  'ENOTDIR',
  'EISDIR',
  'EEXIST',
  'ELOOP',
  'ENAMETOOLONG',
  'EBUSY',
  'EINVAL',
  'ESTALE',
  'ENXIO',
  'ERR_ACCESS_DENIED',
] as const

/** Rows that fill two memtables and a part of the third. */
const ROWS = columnsOf(
  Array.from({ length: 2 * MEMTABLE_RECORDS + 10 }, (_, i) => ({ key: i, time: i, id: i })),
)

async function drain(rows: AsyncIterable<unknown>): Promise<void> {
  for await (const _ of rows);
}

/** Calls of an open table; those of a reader are made of one. */
const CALLS: Readonly<Record<string, (table: CrashTable) => Promise<unknown>>> = {
  put: table => table.put(1n, { time: 1, id: 1 }),
  'put with sync': table => table.put(1n, { time: 1, id: 1 }, { sync: true }),
  putColumns: async table => {
    for (let i = 0; i < 3; i++) await table.putColumns(columnsOf([{ key: i, time: 0, id: 0 }]))
  },
  get: table => table.get(3n),
  getSync: async table => table.getSync(3n),
  getColumns: table => table.getColumns([3n, 100n]),
  'getColumns within': table => table.getColumns([3n, 100n], { within: 2 }),
  count: table => table.count(3n),
  entries: table => drain(table.entries()),
  scanColumns: table => drain(table.scanColumns()),
  first: table => table.first({ gt: 2n }),
  last: table => table.last({ lt: 3n }),
  lastSync: async table => table.lastSync({ lt: 3n }),
  sync: table => table.sync(),
  compact: table => table.compact(),
  checkpoint: table => table.checkpoint('/copies/deep/copy'),
  clear: table => table.clear(),
  stats: table => table.stats(),
  close: table => table.close(),
}
const READER_CALLS: Readonly<Record<string, (table: CrashTable) => Promise<unknown>>> = {
  'refresh of a reader': table => table.refresh(),
  'stats of a reader': table => table.stats(),
  'get of a reader': table => table.get(3n),
  'close of a reader': table => table.close(),
}
/** Calls that begin with a disk alone. */
const OPENS: Readonly<Record<string, (disk: SimulatedFileSystem) => Promise<unknown>>> = {
  open: disk => openOn(disk),
  'open of a new table': disk => openOn(disk, {}, '/tables/new/one'),
  'open with readOnly': disk => openOn(disk, { readOnly: true }),
  'open of a table that must be there': disk => openOn(disk, { createIfMissing: false }),
  bulkLoad: async disk => {
    const empty = new SimulatedFileSystem()
    adopt(empty, disk)
    return bulkLoadOn(empty, {}, [ROWS])
  },
  verifyTable: disk => verifyTable(DIRECTORY, { fileSystem: disk }),
}

/** `fresh` fails as `disk` would. */
function adopt(fresh: SimulatedFileSystem, disk: SimulatedFileSystem): void {
  fresh.onCall = call => disk.onCall?.(call)
}

/** A disk with a table of files and a log; after an unclean end, or closed. */
async function prepared(clean: boolean): Promise<SimulatedFileSystem> {
  const disk = new SimulatedFileSystem()
  const table = await openOn(disk)
  await table.putColumns(columnsOf([{ key: 3, time: 0, id: 0 }]))
  await table.compact()
  await table.delWhere({ id: 77 })
  for (let row = 0; row < ROWS.key.length; row += 30) {
    await table.putColumns({
      key: ROWS.key.slice(row, row + 30),
      time: ROWS.time.slice(row, row + 30),
      id: ROWS.id.slice(row, row + 30),
    })
  }
  await (clean ? table.close() : table.sync())
  return disk.clone()
}

/** The system's error, as node:fs throws it. */
function systemFailure(code: string, path: string): Error {
  return Object.assign(new Error(`${code}: it failed, call '${path}'`), { code, path, syscall: 'call' })
}

/** Runs `call` with the failure at its call number `step` of the disk, and at all later ones where it lasts. */
async function rejection(
  call: (disk: SimulatedFileSystem) => Promise<() => Promise<unknown>>,
  disk: SimulatedFileSystem,
  step: number,
  code: string,
  lasts: boolean,
): Promise<{ reached: boolean; error?: unknown; at: string }> {
  const run = await call(disk)
  let count = 0
  let at = ''
  disk.onCall = ({ op, path }) => {
    const fails = lasts ? count >= step : count === step
    count++
    if (!fails) return
    at ||= `${op} ${path}`
    throw systemFailure(code, path)
  }
  try {
    await run()
    return { reached: count > step, at }
  } catch (error) {
    return { reached: true, error, at }
  } finally {
    disk.onCall = undefined
  }
}

const opened =
  (options: OpenOptions, call: (table: CrashTable) => Promise<unknown>) =>
  async (disk: SimulatedFileSystem) => {
    const table = await openOn(disk, options)
    return () => call(table)
  }

const CASES = [
  ...Object.entries(OPENS).map(
    ([name, call]) =>
      [name, (disk: SimulatedFileSystem) => Promise.resolve(() => call(disk)), false] as const,
  ),
  ...Object.entries(CALLS).map(([name, call]) => [name, opened({}, call), true] as const),
  ...Object.entries(READER_CALLS).map(
    ([name, call]) => [name, opened({ readOnly: true }, call), false] as const,
  ),
]

describe('a file system that fails', () => {
  test.each(CASES)(
    'at any call and with any errno lets %s reject with a FLASHTABLE_ code',
    async (_, call, clean) => {
      const base = await prepared(clean)
      for (let step = 0; ; step++) {
        let reached = false
        // Early steps meet every errno, later ones take turns.
        const codes = step === 0 ? ERRNOS : [ERRNOS[step % ERRNOS.length]!]
        for (const code of codes) {
          const lasts = (step + code.length) % 2 === 0
          const outcome = await rejection(call, base.clone(), step, code, lasts)
          reached ||= outcome.reached
          if (outcome.error === undefined) continue
          expectCoded(outcome.error, `${code} at ${outcome.at}`)
        }
        if (!reached) break
      }
    },
  )
})

function expectCoded(error: unknown, where: string): void {
  if (!(error instanceof FlashTableError)) throw new Error(`${where}: ${String(error)}`, { cause: error })
  expect(error.code, where).toMatch(/^FLASHTABLE_[A-Z_]+$/)
  expect(error.message, where).toMatch(/\/tables|\/copies/)
  if (error.code === 'FLASHTABLE_IO_ERROR')
    expect(error.cause, where).toMatchObject({ code: expect.any(String) })
}
