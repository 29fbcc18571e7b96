/**
 * What happens inside, on `node:diagnostics_channel`: no cost without a subscriber. docs/api.md, Events.
 */
import { channel } from 'node:diagnostics_channel'
import type { CompactionEvent } from './compaction/compactor.js'

const CHANNELS = {
  seal: channel('flashtable:seal'),
  merge: channel('flashtable:compaction'),
  compact: channel('flashtable:compaction'),
  wait: channel('flashtable:wait'),
} as const

/** Publishes what the compactor of the table in `directory` has done. */
export function publishCompaction(directory: string, event: CompactionEvent): void {
  const target = CHANNELS[event.kind]
  if (target.hasSubscribers) target.publish({ directory, ...event })
}
