/** All workloads, in the order in which they run. */
import type { Workload } from '../workload.js'
import { clearRange } from './clear-range.js'
import { crashOpen } from './crash-open.js'
import { deleteWhere } from './delete-where.js'
import { expiry } from './expiry.js'
import { growth } from './growth.js'
import { hits } from './hits.js'
import { ifAbsent } from './if-absent.js'
import { interop } from './interop.js'
import { keeping } from './keeping.js'
import { kmers } from './kmers.js'
import { load } from './load.js'
import { lookups } from './lookups.js'
import { memory } from './memory.js'
import { mergeLatency } from './merge-latency.js'
import { music } from './music.js'
import { open } from './open.js'
import { paced } from './paced.js'
import { put } from './put.js'
import { ranges } from './ranges.js'
import { sizes } from './sizes.js'
import { smallScan } from './small-scan.js'
import { trickle } from './trickle.js'

export const WORKLOADS: readonly Workload[] = [
  load,
  paced,
  trickle,
  put,
  music,
  sizes,
  lookups,
  hits,
  growth,
  ranges,
  smallScan,
  open,
  memory,
  crashOpen,
  deleteWhere,
  expiry,
  clearRange,
  ifAbsent,
  kmers,
  keeping,
  interop,
  mergeLatency,
]
