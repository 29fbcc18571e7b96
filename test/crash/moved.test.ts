/**
 * The directory of an open table becomes another one, or none, or another writer's, at any moment: what is there by then
 * stays as it is, and the table says so.
 */
import { crc32 } from 'node:zlib'
import { describe, expect, test } from 'vitest'
import { FlashTable } from '../../src/index.js'
import { simulatedEnvironment } from '../support/simulated-environment.js'
import { SimulatedFileSystem } from '../support/simulated-file-system.js'
import type { CrashRecord } from './history.js'
import {
  DIRECTORY,
  MEMTABLE_RECORDS,
  OPTIONS,
  bulkLoadOn,
  columnsOf,
  openOn,
  type CrashTable,
} from './table.js'

const STRANGER = '/tables/stranger'
const OLD = '/tables/old'
const COPY = '/tables/copy'
/** When it is held, and when it is locked: until then the table is whatever is there. */
const LOOKS_BEFORE = 2

const recordsFrom = (first: number, count: number): CrashRecord[] =>
  Array.from({ length: count }, (_, i) => ({ key: (first + i) % 50, time: i % 100, id: first + i }))

/** A disk with a table of somebody else, beside where ours will be. */
async function strangersDisk(): Promise<SimulatedFileSystem> {
  const disk = new SimulatedFileSystem()
  const environment = {
    ...simulatedEnvironment(disk),
    randomBytes: (count: number) => new Uint8Array(count).fill(9),
  }
  const stranger = (await FlashTable.openIn(STRANGER, OPTIONS, environment)) as unknown as CrashTable
  await stranger.putColumns(columnsOf(recordsFrom(1000, MEMTABLE_RECORDS)))
  await stranger.putColumns(columnsOf(recordsFrom(2000, 20)))
  await stranger.close()
  return disk
}

/** All that changes names on disk; returns how each call failed. */
async function life(disk: SimulatedFileSystem): Promise<unknown[]> {
  const failures: unknown[] = []
  const attempt = (call: Promise<unknown>): Promise<unknown> =>
    call.catch((error: unknown) => failures.push(error))
  const table = await openOn(disk).catch((error: unknown) => void failures.push(error))
  if (table === undefined) return failures
  for (let i = 0; i < 4; i++) {
    await attempt(table.putColumns(columnsOf(recordsFrom(100 * i, MEMTABLE_RECORDS - 3))))
    await attempt(table.put(1, { time: 1, id: i }, { sync: true }))
  }
  await attempt(table.compact())
  await attempt(table.checkpoint(COPY))
  await attempt(table.putColumns(columnsOf(recordsFrom(500, 30))))
  await attempt(table.clear())
  await attempt(table.putColumns(columnsOf(recordsFrom(600, 40))))
  await attempt(table.close())
  return failures
}

/** A bulk load that sets records aside, and what it leaves in the log afterwards. */
async function load(disk: SimulatedFileSystem): Promise<unknown[]> {
  const source = Array.from({ length: 3 }, (_, i) => columnsOf(recordsFrom(100 * i, MEMTABLE_RECORDS)))
  try {
    const table = await bulkLoadOn(disk, { memoryBytes: 0 }, source)
    await table.close()
    return []
  } catch (error) {
    return [error]
  }
}

const pathsIn = (disk: SimulatedFileSystem, directory: string): string[] =>
  disk.files().filter(path => path.startsWith(`${directory}/`))

/** Names and contents of all files in the directory, short. */
const imageOf = (disk: SimulatedFileSystem, directory: string): string[] =>
  pathsIn(disk, directory).map(path => {
    const bytes = disk.readFile(path)
    return `${path} ${bytes.length} ${crc32(bytes)}`
  })

const installsOn = (disk: SimulatedFileSystem): number =>
  disk.log.filter(({ op, target }) => op === 'rename' && target === `${DIRECTORY}/MANIFEST`).length

/** What happens to the directory, as by other programs; the result must stay there. */
const EVENTS: Readonly<Record<string, (disk: SimulatedFileSystem) => void>> = {
  'is replaced by that of another table': disk => {
    disk.moveDirectory(DIRECTORY, OLD)
    disk.moveDirectory(STRANGER, DIRECTORY)
  },
  'is moved away': disk => disk.moveDirectory(DIRECTORY, OLD),
  'is emptied, and another table made in it': disk => {
    for (const path of pathsIn(disk, DIRECTORY)) disk.removeFile(path)
    for (const path of pathsIn(disk, STRANGER)) {
      disk.writeFile(`${DIRECTORY}${path.slice(STRANGER.length)}`, disk.readFile(path))
    }
  },
}

/** Counts the calls by path that are under way. */
function countPending(disk: SimulatedFileSystem): { calls: number } {
  const pending = { calls: 0 }
  const counted =
    <A extends unknown[], T>(call: (...args: A) => Promise<T>) =>
    async (...args: A): Promise<T> => {
      pending.calls++
      try {
        return await call(...args)
      } finally {
        pending.calls--
      }
    }
  disk.open = counted(disk.open.bind(disk))
  disk.rename = counted(disk.rename.bind(disk))
  disk.unlink = counted(disk.unlink.bind(disk))
  disk.link = counted(disk.link.bind(disk))
  return pending
}

/** Runs `calls`, lets the event happen at the n-th moment, and looks at what is left; false where there is none. */
async function check(
  prepared: SimulatedFileSystem,
  calls: (disk: SimulatedFileSystem) => Promise<unknown[]>,
  event: (disk: SimulatedFileSystem) => void,
  moment: number,
  lastInstall: number,
): Promise<boolean> {
  const disk = prepared.clone()
  const pending = countPending(disk)
  let moments = 0
  let left: string[] | undefined
  let installs = 0
  const pass = (): void => {
    // A call that was found right and is on its way is not stopped any more.
    if (left !== undefined || pending.calls > 0 || ++moments < moment) return
    event(disk)
    left = imageOf(disk, DIRECTORY)
    installs = installsOn(disk)
  }
  let looks = 0
  disk.onLook = path => {
    if (path === DIRECTORY && ++looks > LOOKS_BEFORE) pass()
  }
  const failures = await calls(disk)
  if (left === undefined) return false
  const message = `moment ${moment}`
  expect(imageOf(disk, DIRECTORY), message).toEqual(left)
  // Once the last manifest is installed nothing more needs to be done.
  if (installs < lastInstall) expect(failures, message).not.toEqual([])
  for (const failure of failures) {
    const { code, cause } = failure as { code: string; cause?: { code: string } }
    expect([message, code === 'FLASHTABLE_POISONED' ? cause?.code : code]).toEqual([
      message,
      'FLASHTABLE_MOVED',
    ])
  }
  expect(disk.openHandles, message).toBe(0)
  return true
}

describe.each(Object.entries({ life, load }))('the directory of an open table, in its %s,', (_, calls) => {
  test.each(Object.entries(EVENTS))('%s at any moment: nothing in its place is touched', async (_, event) => {
    const prepared = await strangersDisk()
    const undisturbed = prepared.clone()
    expect(await calls(undisturbed)).toEqual([])
    const lastInstall = installsOn(undisturbed)
    let moment = 1
    while (await check(prepared, calls, event, moment, lastInstall)) moment++
    console.log(`${moment - 1} moments`)
    expect(moment).toBeGreaterThan(20)
  })
})

test('a checkpoint leaves alone what somebody else puts into its directory meanwhile', async () => {
  const disk = new SimulatedFileSystem()
  const table = await openOn(disk)
  await table.putColumns(columnsOf(recordsFrom(0, 40)))
  const theirs = Buffer.from('a manifest of somebody else')
  disk.onCall = ({ op, path }) => {
    if (op === 'create' && path === `${COPY}/MANIFEST.tmp`) disk.writeFile(`${COPY}/MANIFEST`, theirs)
  }
  await expect(table.checkpoint(COPY)).rejects.toMatchObject({ code: 'FLASHTABLE_MOVED' })
  expect(Buffer.from(disk.readFile(`${COPY}/MANIFEST`))).toEqual(theirs)
  disk.onCall = undefined
  await table.put(1, { time: 1, id: 1 })
  await table.close()
})
