/**
 * Opens a table, for writing or for reading: checks the options, and turns failures into errors that say what to do.
 */
import { throwIfAborted } from '../async/abort.js'
import { callError, codeOf, diskError } from '../base/errors.js'
import type { TableEvent } from '../base/events.js'
import { latchedReason } from '../base/poison.js'
import { Schema } from '../encoding/schema.js'
import type { ResolvedOptions } from '../options/options.js'
import { latencyOf, type Environment } from './environment.js'
import { openReader } from './open-reader.js'
import { openWriter } from './open-writer.js'
import type { TableParts } from './table-parts.js'

/** Opens the table at an absolute path. Errors: docs/api.md, `FlashTable.open`, except those of wrong options. */
export async function openTable(
  directory: string,
  options: ResolvedOptions,
  environment: Environment,
  publish: (event: TableEvent) => void,
): Promise<TableParts> {
  // Before anything is made, and before it waits for another writer.
  Schema.check(options)
  throwIfAborted(options.signal)
  try {
    if (options.readOnly)
      return await openReader(directory, options, environment, latencyOf(options, environment))
    return await openWriter(directory, options, environment, publish)
  } catch (error) {
    // The reason of an abort comes before the error of the call that it ended.
    throwIfAborted(options.signal)
    throw openError(error, directory)
  }
}

/**
 * Errors of the file system become ours. So does a lack of memory, and the latched failure of a table that did not
 * open. Other errors stay what they are.
 */
function openError(error: unknown, directory: string): unknown {
  const reason = latchedReason(error)
  const code = codeOf(reason)
  const what = `${directory} cannot be opened`
  if (code === undefined) return callError(reason, what)
  return code.startsWith('FLASHTABLE_') ? reason : diskError(reason, what)
}
