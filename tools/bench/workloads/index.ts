/** All workloads, in the order in which they run. */
import type { Workload } from '../workload.js'
import { crashOpen } from './crash-open.js'
import { deleteWhere } from './delete-where.js'
import { growth } from './growth.js'
import { keeping } from './keeping.js'
import { load } from './load.js'
import { lookups } from './lookups.js'
import { mergeLatency } from './merge-latency.js'
import { music } from './music.js'
import { paced } from './paced.js'
import { put } from './put.js'
import { smallScan } from './small-scan.js'

export const WORKLOADS: readonly Workload[] = [
  load,
  paced,
  put,
  music,
  lookups,
  growth,
  smallScan,
  crashOpen,
  deleteWhere,
  keeping,
  mergeLatency,
]
