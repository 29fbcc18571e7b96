/**
 * Saves every record whose page or frame is intact into a new table; never changes the old one.
 *
 * Bucket files go first, oldest first, then the log; so the new table sees the operations in the order of their age, and
 * deletes hide what they hid. docs/durability.md, Repair.
 */
import { resolve, sep } from 'node:path'
import { throwIfAborted } from '../../async/abort.js'
import { withProgress } from '../../async/progress.js'
import { codeOf, diskError, outOfRange } from '../../base/errors.js'
import { Schema } from '../../encoding/schema.js'
import { isWithin, type FileSystem } from '../../io/file-system.js'
import { optionalCallback, optionalSignal, readOptions } from '../../options/arguments.js'
import { optionalDuplicates, optionalMemtableBytes, optionalPageBytes } from '../../options/options.js'
import { nodeEnvironment, type Environment } from '../../table/environment.js'
import { assertDirectory, assertUnchanged, findSource } from './inventory.js'
import { RepairOutput } from './output.js'
import { saveFile, type SaveContext } from './save-file.js'
import { savePiece } from './save-log.js'
import { trueNames } from './true-names.js'
import type { Loss, RepairOptions, RepairResult, Source } from './types.js'

export type { Loss, RepairOptions, RepairResult } from './types.js'

const asGiven = (value: unknown): unknown => value

const REPAIR_OPTIONS = {
  keyEncoding: asGiven,
  valueEncoding: asGiven,
  duplicates: optionalDuplicates,
  pageBytes: optionalPageBytes,
  memtableBytes: optionalMemtableBytes,
  signal: optionalSignal,
  onProgress: optionalCallback<NonNullable<RepairOptions['onProgress']>>(),
  environment: (value: unknown) => value as Environment | undefined,
}

/**
 * Repairs the table in `directory` into the new directory `into`. It is a table, and on the device, when this resolves;
 * before that, and where it rejects, it is none.
 *
 * Rejects with `FLASHTABLE_NOT_FOUND` where there is no table, `_EXISTS` where something is in `into`, `_CORRUPTION`
 * where the manifest is lost and no `keyEncoding` is given, or where nothing can be read, `_SCHEMA_MISMATCH` where what
 * is there has another schema, `_DISK_FULL`, `_IO_ERROR`, or `signal.reason`. Cost: reads all files once, the log twice.
 */
export async function repairTable(
  directory: string,
  into: string,
  given: RepairOptions = {},
): Promise<RepairResult> {
  const options = readOptions('repair', given, REPAIR_OPTIONS)
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
  const { fileSystem, source } = await sourceIn(environment.fileSystem, from, options)
  try {
    const output = await RepairOutput.create(to, source, environment, options)
    try {
      const result = await save(fileSystem, from, source, output, options)
      throwIfAborted(options.signal)
      await assertUnchanged(fileSystem, from, source)
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

/** What is there, each file under the name that its content has. */
async function sourceIn(
  disk: FileSystem,
  from: string,
  options: RepairOptions,
): Promise<{ fileSystem: FileSystem; source: Source }> {
  await assertDirectory(disk, from)
  const { fileSystem, losses } = await trueNames(disk, from)
  const source = await findSource(fileSystem, from, options)
  return { fileSystem, source: { ...source, losses: [...losses, ...source.losses] } }
}

async function save(
  fileSystem: FileSystem,
  directory: string,
  source: Source,
  output: RepairOutput,
  options: RepairOptions,
): Promise<RepairResult> {
  const { signal, onProgress } = options
  const losses: Loss[] = [...source.losses]
  const { schema, schemaGiven } = source
  let done = 0
  const total = source.items.reduce((sum, item) => sum + pagesOf(item, source.pageBytes), 0)
  const onPages = (pages: number): void => onProgress?.({ done: Math.min(total, (done += pages)), total })
  const context: SaveContext = { fileSystem, schema, schemaGiven, output, signal, onPages }
  for (const item of source.items) {
    throwIfAborted(signal)
    if ('run' in item) {
      losses.push(...(await savePiece(context, directory, item)))
      onPages(pagesOf(item, source.pageBytes))
    } else losses.push(...(await saveFile(context, item)))
  }
  return { records: output.records, losses }
}

function pagesOf(item: Source['items'][number], pageBytes: number): number {
  return 'run' in item ? Math.ceil((item.run.to - item.run.from) / pageBytes) : item.pages
}
