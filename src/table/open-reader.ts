/** Opens a table for reading: takes no lock, writes nothing. docs/durability.md, Recovery. */
import type { Latency } from '../base/latency.js'
import { Poison } from '../base/poison.js'
import type { Schema } from '../encoding/schema.js'
import { totalBytes } from '../event-log/event.js'
import { historyIn } from '../event-log/wear.js'
import { movedError } from '../io/home.js'
import { tableIdText, writerOf, type BucketFileEntry } from '../manifest/bucket-file-entry.js'
import type { Manifest } from '../manifest/manifest.js'
import type { ResolvedOptions } from '../options/options.js'
import type { LifetimeCounters } from '../state/lifetime-counters.js'
import { TableState } from '../state/table-state.js'
import type { Environment } from './environment.js'
import { totalsOf } from './note-events.js'
import type { KeptFile, RecoveryOptions } from './recovered.js'
import { recoverReader } from './recover-reader.js'
import { newReader, openSchema, recoveryOptions, type TableParts } from './table-parts.js'

/** What an open for reading may start from. */
export interface ReaderBefore {
  /** The parts of a reader that moves on to the newest state: it keeps its open files and its cache. */
  readonly previous?: TableParts | undefined
  /** Of a table that is published: what reads it where it is. */
  readonly remote?: TableParts['remote']
}

/**
 * Opens the table in `directory`. If a reader moves on, and another table is in its directory now, this rejects with
 * `FLASHTABLE_MOVED`.
 */
export async function openReader(
  directory: string,
  options: ResolvedOptions,
  environment: Environment,
  latency: Latency | undefined,
  { previous, remote }: ReaderBefore = {},
): Promise<TableParts> {
  let schema!: Schema
  const before = previous?.state
  // Another writer of a published table has another id for it; its lineage is compared.
  const tableId = remote === undefined ? before?.manifest.tableId : undefined
  // Each attempt of the recovery may find another manifest.
  const optionsFor = (manifest: Manifest): RecoveryOptions => {
    if (tableId !== undefined && manifest.tableId !== tableId)
      throw movedError(directory, 'another table has taken its place')
    schema = openSchema(directory, manifest, options)
    const recovery = recoveryOptions(directory, manifest, schema, options, environment)
    if (remote !== undefined) Object.assign(recovery, { isRemote: true, pace: undefined })
    if (before === undefined) return recovery
    const { cache, pace } = before.options
    return { ...recovery, cache, pace }
  }
  const keptFile = before === undefined ? undefined : keptFilesOf(before)
  const recovered = await recoverReader(optionsFor, environment.fileSystem, directory, keptFile)
  const poison = new Poison()
  const { counters } = recovered
  return {
    directory,
    options,
    schema,
    poison,
    state: new TableState({ ...recovered.options, poison }, recovered, counters, before),
    reader: newReader(recovered.options, recovered.manifest, environment, latency),
    wear: wearOf(directory, environment, counters),
    writer: undefined,
    latency,
    remote,
  }
}

/** A function of its own: what it closes over lives as long as the parts, and the state before must not. */
function wearOf(
  directory: string,
  { fileSystem, date }: Environment,
  counters: LifetimeCounters,
): TableParts['wear'] {
  return async () => {
    const nowMs = date()
    const bytes = totalBytes(totalsOf(counters).written)
    return (await historyIn(fileSystem, directory, nowMs, bytes)).wear(nowMs, bytes)
  }
}

/** The files of an open reader. */
function keptFilesOf({ version, options }: TableState): KeptFile {
  return (entry, tableId) => {
    const identity = identityOf(entry, tableId)
    return version.stored.find(file => identityOf(file.entry, options.tableId) === identity)
  }
}

/** No two files that differ have the same. */
function identityOf(entry: BucketFileEntry, tableId: Uint8Array): string {
  const { epoch, number, level, pages } = entry
  return [tableIdText(writerOf(entry, tableId)), epoch, number, level, pages].join(' ')
}
