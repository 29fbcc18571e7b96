/** Connects the event log of a writer: with the totals of its lines, and with what the parts publish. */
import type { TableEvent } from '../base/events.js'
import type { Latency, LatencyStats } from '../base/latency.js'
import { EventLog } from '../event-log/event-log.js'
import type { TableTotals } from '../event-log/event.js'
import { notedEvent } from '../event-log/noted.js'
import { meteredFileSystem } from '../io/metered-file-system.js'
import type { LifetimeCounters } from '../state/lifetime-counters.js'
import type { TableState } from '../state/table-state.js'
import type { Environment } from './environment.js'
import { latencyStats } from './stats.js'

export interface EventNotes {
  readonly eventLog: EventLog
  /** Tells subscribers and the event log. */
  readonly publish: (event: TableEvent) => void
  /** Counts bytes that were written to the write-ahead log. */
  readonly countLog: (bytes: number) => void
}

/** `measured`: what the table measures. `tell`: tells the subscribers. */
export function noteEvents(
  state: TableState,
  isWritten: boolean,
  { date, wait }: Environment,
  measured: Latency | undefined,
  tell: (event: TableEvent) => void,
): EventNotes {
  const { counters, options } = state
  const { fileSystem, directory, poison } = options
  const metered = meteredFileSystem(fileSystem, counters.countEvents)
  const totals = (): TableTotals => ({ files: state.version.stored.length, ...totalsOf(counters) })
  const latency = (): LatencyStats | undefined => measured && latencyStats(measured, true)
  const eventLog = new EventLog({
    fileSystem: metered,
    directory,
    isWritten,
    date,
    wait,
    totals,
    latency,
  })
  poison.onLatched = () => eventLog.note({ event: 'poisoned', reason: poison.reason! })
  return {
    eventLog,
    publish(event) {
      tell(event)
      const noted = notedEvent(event)
      if (noted !== undefined) eventLog.note(noted)
    },
    countLog(bytes) {
      counters.countLog(bytes)
      eventLog.noteWritten()
    },
  }
}

/** What was put and written in the life of the table. */
export function totalsOf(counters: LifetimeCounters): Pick<TableTotals, 'put' | 'written'> {
  const { records, recordBytes, walBytes, bucketBytes, manifestBytes, eventBytes } = counters.read()
  return {
    put: { records, bytes: recordBytes },
    written: { wal: walBytes, buckets: bucketBytes, manifest: manifestBytes, events: eventBytes },
  }
}
