/** What happens inside, on `node:diagnostics_channel`: no cost without a subscriber. docs/api.md, Events. */
import { channel } from 'node:diagnostics_channel'
import type { TableEvent } from './table-event.js'

const CHANNELS = {
  seal: channel('flashtable:seal'),
  merge: channel('flashtable:compaction'),
  compact: channel('flashtable:compaction'),
  wait: channel('flashtable:wait'),
  forgotten: channel('flashtable:forgotten'),
  recovery: channel('flashtable:recovery'),
} as const

/** Publishes what has happened in the table that was opened as `directory`. */
export function publishEvent(directory: string, event: TableEvent): void {
  const target = CHANNELS[event.kind]
  if (target.hasSubscribers) target.publish({ directory, ...event })
}
