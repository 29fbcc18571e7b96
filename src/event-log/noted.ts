/** What the event log says of what the parts publish. */
import type { TableEvent } from '../base/events.js'
import type { NotedEvent } from './event.js'

/** `undefined`: nothing. Waits of puts are in the statistics; of those in the background only the beginning counts. */
export function notedEvent(event: TableEvent): NotedEvent | undefined {
  switch (event.kind) {
    case 'forgotten':
      return undefined
    case 'wait': {
      const { reason, again } = event
      return again || reason === 'seal' || reason === 'merge' ? undefined : { event: 'wait', reason }
    }
    case 'recovery': {
      const { reason, operations: records, bytesWritten: bytes, durationMs: ms } = event
      // After a clean end there may be nothing to recover.
      if (records === 0 && bytes === 0) return undefined
      return { event: 'recovery', reason, records, ...(bytes === 0 ? {} : { bytes }), ms }
    }
    case 'seal':
      return { event: 'seal', records: event.operations, ms: event.durationMs }
    case 'drop': {
      const { reason, inputFiles, operations: records, durationMs: ms } = event
      return { event: 'drop', ...(reason === undefined ? {} : { reason }), inputFiles, records, ms }
    }
    case 'flush':
    case 'merge':
    case 'compact': {
      const { kind, reason, inputFiles, operations: records, bytesWritten: bytes, durationMs: ms } = event
      return { event: kind, ...(reason === undefined ? {} : { reason }), inputFiles, records, bytes, ms }
    }
  }
}
