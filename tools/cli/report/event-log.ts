/** The event log of a table, as far as a report needs it. A stand-in until the library reads it. */
import { createReadStream } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'

export interface LogEvent {
  readonly time: string
  readonly event: string
  readonly reason?: string
  readonly inputFiles?: number
  readonly records?: number
  readonly bytes?: number
  readonly ms?: number
  readonly files?: number
  readonly put?: { readonly records: number; readonly bytes: number }
  readonly written?: {
    readonly wal: number
    readonly buckets: number
    readonly manifest: number
    readonly events: number
  }
}

export async function* readEventLog(directory: string): AsyncGenerator<LogEvent> {
  const input = createReadStream(join(directory, 'LOG.jsonl'))
  try {
    for await (const line of createInterface({ input })) {
      try {
        yield JSON.parse(line) as LogEvent
      } catch {}
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
  }
}
