/**
 * Saves every record whose page or frame is intact into a new table; never changes the old one.
 *
 * 1. Give each file the name that fits its content, in case files were exchanged (true-names.ts).
 * 2. List what can be saved (inventory.ts): by the manifest, or without one, by footers, pages and frames
 *    (without-manifest.ts, found-buckets.ts, found-segments.ts).
 * 3. Save bucket files (save-file.ts), oldest first, then runs of the log (save-log.ts), into a new table (output.ts). The
 *    new table gets the operations in the order of their age, so deletes mask the same records as before.
 * 4. Check that no writer changed the old table meanwhile.
 * 5. Install the manifest of the new table. Crash: until then it is no table.
 *
 * Anything that could not be saved is reported as a loss. docs/durability.md, Repair.
 */
import { resolve, sep } from 'node:path'
import { throwIfAborted } from '../../async/abort.js'
import { withProgress } from '../../async/progress.js'
import { codeOf, diskError, outOfRange } from '../../base/errors.js'
import { Schema } from '../../encoding/schema.js'
import { isWithin, type FileSystem } from '../../io/file-system.js'
import { optionalCallback, optionalSignal, readOptions } from '../../options/arguments.js'
import {
  checkCombine,
  optionalBufferBytes,
  optionalCombine,
  optionalDuplicates,
  optionalFileMode,
  optionalPageBytes,
} from '../../options/options.js'
import { nodeEnvironment, type Environment } from '../../table/environment.js'
import { assertDirectory, assertUnchanged, takeInventory } from './inventory.js'
import { RepairOutput } from './output.js'
import { saveFile, type SaveContext } from './save-file.js'
import { savePiece } from './save-log.js'
import { trueNames } from './true-names.js'
import type { Loss, RepairOptions, RepairResult, Inventory } from './types.js'

export type { Loss, RepairOptions, RepairResult } from './types.js'

const asGiven = (value: unknown): unknown => value

const REPAIR_OPTIONS = {
  keyEncoding: asGiven,
  valueEncoding: asGiven,
  duplicates: optionalDuplicates,
  combine: optionalCombine,
  pageBytes: optionalPageBytes,
  mode: optionalFileMode,
  bufferBytes: optionalBufferBytes,
  signal: optionalSignal,
  onProgress: optionalCallback<NonNullable<RepairOptions['onProgress']>>(),
  environment: (value: unknown) => value as Environment | undefined,
}

/**
 * Repairs the table in `directory` into the new directory `into`. When this resolves, `into` is a table and on the
 * device; before that, or if this rejects, it is no table.
 *
 * Rejects with `FLASHTABLE_NOT_FOUND` if there is no table, `_EXISTS` if something is in `into`, `_CORRUPTION` if the
 * manifest is lost and no `keyEncoding` is given, or if nothing can be read, `_SCHEMA_MISMATCH` if the table has
 * another schema, `_DISK_FULL`, `_IO_ERROR`, or `signal.reason`. Cost: reads all files once, the log twice.
 */
export async function repairTable(
  directory: string,
  into: string,
  given: RepairOptions = {},
): Promise<RepairResult> {
  const options = readOptions('repair', given, REPAIR_OPTIONS)
  checkCombine(options)
  Schema.check(options)
  return withProgress(options, control => repairInto(directory, into, { ...options, ...control }))
}

async function repairInto(directory: string, into: string, options: RepairOptions): Promise<RepairResult> {
  const environment = options.environment ?? nodeEnvironment
  const from = resolve(directory)
  const to = resolve(into)
  if (from.startsWith(`${to}${sep}`) || (await isWithin(environment.fileSystem, from, to))) {
    throw outOfRange(
      'FLASHTABLE_INVALID_OPTION',
      `into: expected a directory apart from ${from}, which is not changed, found ${to}`,
    )
  }
  throwIfAborted(options.signal)
  const { fileSystem, inventory } = await inventoryIn(environment.fileSystem, from, options)
  try {
    const output = await RepairOutput.create(to, inventory, environment, options)
    try {
      const result = await save(fileSystem, from, inventory, output, options)
      throwIfAborted(options.signal)
      await assertUnchanged(fileSystem, from, inventory)
      await output.finish()
      return result
    } catch (error) {
      await output.abandon()
      throw error
    }
  } catch (error) {
    const code = codeOf(error)
    const isSystems = code !== undefined && !code.startsWith('FLASHTABLE_')
    if (isSystems && options.signal?.aborted !== true)
      throw diskError(error, `${from} cannot be repaired into ${to}`)
    throw error
  }
}

/** Lists what can be saved, each file under the name that fits its content. */
async function inventoryIn(
  disk: FileSystem,
  from: string,
  options: RepairOptions,
): Promise<{ fileSystem: FileSystem; inventory: Inventory }> {
  await assertDirectory(disk, from)
  const { fileSystem, losses } = await trueNames(disk, from)
  const inventory = await takeInventory(fileSystem, from, options)
  return { fileSystem, inventory: { ...inventory, losses: [...losses, ...inventory.losses] } }
}

async function save(
  fileSystem: FileSystem,
  directory: string,
  inventory: Inventory,
  output: RepairOutput,
  options: RepairOptions,
): Promise<RepairResult> {
  const { signal, onProgress } = options
  const losses: Loss[] = [...inventory.losses]
  const { schema, schemaGiven } = inventory
  let done = 0
  const total = inventory.items.reduce((sum, item) => sum + pagesOf(item, inventory.pageBytes), 0)
  const onPages = (pages: number): void => onProgress?.({ done: Math.min(total, (done += pages)), total })
  const context: SaveContext = { fileSystem, schema, schemaGiven, output, signal, onPages }
  for (const item of inventory.items) {
    throwIfAborted(signal)
    if ('run' in item) {
      losses.push(...(await savePiece(context, directory, item)))
      onPages(pagesOf(item, inventory.pageBytes))
    } else losses.push(...(await saveFile(context, item)))
  }
  return { records: output.records, losses }
}

function pagesOf(item: Inventory['items'][number], pageBytes: number): number {
  return 'run' in item ? Math.ceil((item.run.to - item.run.from) / pageBytes) : item.pages
}
