/** Opens a table for reading: takes no lock, writes nothing. docs/durability.md, Recovery. */
import type { Latency } from '../base/latency.js'
import { Poison } from '../base/poison.js'
import type { Schema } from '../encoding/schema.js'
import { totalBytes } from '../event-log/event.js'
import { historyIn } from '../event-log/wear.js'
import { movedError } from '../io/home.js'
import type { Manifest } from '../manifest/manifest.js'
import type { ResolvedOptions } from '../options/options.js'
import { TableState } from '../state/table-state.js'
import type { Environment } from './environment.js'
import { totalsOf } from './note-events.js'
import type { RecoveryOptions } from './recovered.js'
import { recoverReader } from './recover-reader.js'
import { newReader, openSchema, recoveryOptions, type TableParts } from './table-parts.js'

/**
 * Opens the table in `directory`. A reader that moves on to the newest state passes the id of its table as `tableId`: if
 * another table is there now, this rejects with `FLASHTABLE_MOVED`.
 */
export async function openReader(
  directory: string,
  options: ResolvedOptions,
  environment: Environment,
  latency: Latency | undefined,
  tableId?: string,
): Promise<TableParts> {
  let schema!: Schema
  // Each attempt of the recovery may find another manifest.
  const optionsFor = (manifest: Manifest): RecoveryOptions => {
    if (tableId !== undefined && manifest.tableId !== tableId)
      throw movedError(directory, 'another table has taken its place')
    schema = openSchema(directory, manifest, options)
    return recoveryOptions(directory, manifest, schema, options, environment)
  }
  const recovered = await recoverReader(optionsFor, environment.fileSystem, directory)
  const poison = new Poison()
  const { fileSystem, date } = environment
  const { counters } = recovered
  return {
    directory,
    options,
    schema,
    poison,
    state: new TableState({ ...recovered.options, poison }, recovered, counters),
    reader: newReader(recovered.options, recovered.manifest, environment, latency),
    async wear() {
      const nowMs = date()
      const bytes = totalBytes(totalsOf(counters).written)
      return (await historyIn(fileSystem, directory, nowMs, bytes)).wear(nowMs, bytes)
    },
    writer: undefined,
    latency,
  }
}
