/** `readEventLog`: the events of a table, for programs. docs/api.md, readEventLog. */
import { nodeFileSystem } from '../io/node-file-system.js'
import { refuseExtra } from '../options/arguments.js'
import { absolutePath } from '../options/location.js'
import type { LoggedEvent } from './event.js'
import { EventLogReader } from './reader.js'

/**
 * What has happened in the table, oldest first, as far back as its event log goes: one or two MiB. Lines that are damaged
 * are skipped. It takes no lock and changes nothing, and may run beside a writer.
 *
 * Throws a `TypeError` for what is no location. The iteration rejects with `FLASHTABLE_NOT_FOUND` or `_IO_ERROR`.
 */
export function readEventLog(location: string | URL, ...extra: never[]): AsyncIterable<LoggedEvent> {
  refuseExtra('readEventLog', extra)
  return eventsOf(absolutePath(location, 'location'))
}

async function* eventsOf(directory: string): AsyncGenerator<LoggedEvent, void, undefined> {
  const reader = new EventLogReader(nodeFileSystem, directory)
  try {
    yield* await reader.readNew()
  } finally {
    await reader.close()
  }
}
