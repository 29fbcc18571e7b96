/**
 * Workloads of the crash explorer: small tables, so that every state on disk comes up within a few hundred calls of the
 * file system - groups, seals, merges, recycled segments, manifests, recovery itself.
 */
import { BULK_LOADS } from './bulk-load.js'
import { EVENT_LOG_WORKLOADS } from './event-log.js'
import { LOG } from './log.js'
import { MERGES } from './merges.js'
import { META } from './meta.js'
import { READS_AND_COPIES } from './reads-and-copies.js'
import { RUN_WORKLOADS } from './runs.js'
import type { Workload, Workloads } from './workload.js'

const ALL: Workloads = {
  ...LOG,
  ...EVENT_LOG_WORKLOADS,
  ...MERGES,
  ...RUN_WORKLOADS,
  ...READS_AND_COPIES,
  ...BULK_LOADS,
  ...META,
}

/**
 * Each workload twice: its jobs run at once, or later and beside other calls. The second writes the event log, too: every
 * call of it may be a stop, and nothing else depends on them.
 */
export const WORKLOADS: Workloads = Object.fromEntries(
  Object.entries(ALL).flatMap(([name, { options, run }]): [string, Workload][] => [
    [name, { options: { eventLog: false, ...options }, run }],
    [`${name}-later`, { options: { ...options, jobs: 'later' }, run }],
  ]),
)
