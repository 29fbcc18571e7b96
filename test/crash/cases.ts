/** What the tests of the crash cases share: disks, records, and looks at what lies on a disk. */
import { FlashTableError } from '../../src/index.js'
import { type Manifest, parseManifest } from '../../src/manifest/manifest.js'
import { type Call, SimulatedFileSystem } from '../support/simulated-file-system.js'
import type { CrashRecord } from './history.js'
import { columnsOf, contents, type CrashTable, DIRECTORY, openOn, type OpenOptions } from './table.js'

export const SEED = Number(process.env['FLASHTABLE_SEED'] ?? Date.now() % 1_000_000)

export const MANIFEST = `${DIRECTORY}/MANIFEST`

export function newDisk(
  options: ConstructorParameters<typeof SimulatedFileSystem>[0] = {},
): SimulatedFileSystem {
  const disk = new SimulatedFileSystem({ seed: SEED, ...options })
  disk.writeFile('/tables/.keep', new Uint8Array(0))
  return disk
}

/** Records [from, from + count), which differ in all fields. */
export function records(from: number, count: number): CrashRecord[] {
  return Array.from({ length: count }, (_, i) => ({ key: (from + i) * 31, time: from + i, id: -(from + i) }))
}

export function put(table: CrashTable, [record]: readonly CrashRecord[], sync = false): Promise<void> {
  return table.put(record!.key, { time: record!.time, id: record!.id }, { sync })
}

export const columns = (table: CrashTable, rows: readonly CrashRecord[], sync = false): Promise<void> =>
  table.putColumns(columnsOf(rows), { sync })

export async function found(disk: SimulatedFileSystem, options: OpenOptions = {}): Promise<string> {
  const table = await openOn(disk, options)
  try {
    return await contents(table)
  } finally {
    await table.close()
  }
}

export async function codeOf(promise: Promise<unknown>): Promise<string | undefined> {
  const error = await promise.then(
    () => undefined,
    (error: unknown) => error,
  )
  if (error !== undefined && !(error instanceof FlashTableError)) throw error
  return error?.code
}

export const filesOf = (disk: SimulatedFileSystem, suffix: string): string[] =>
  disk.files().filter(path => path.startsWith(`${DIRECTORY}/`) && path.endsWith(suffix))

export const manifestOf = (disk: SimulatedFileSystem): Manifest =>
  parseManifest(disk.readFile(MANIFEST), MANIFEST)

/** Everything on the disk, to be compared. */
export const image = (disk: SimulatedFileSystem): [string, Uint8Array][] =>
  disk.files().map(path => [path, disk.readFile(path)])

export const isOn =
  (suffix: string, ...ops: Call['op'][]) =>
  (call: Call): boolean =>
    ops.includes(call.op) && (call.target ?? call.path).endsWith(suffix)
