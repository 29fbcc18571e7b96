/** Appends rows in the order of their keys: batches of merges, of seals and of bulk loads. By kernels where there are some. */
import { kernels } from '../kernels/kernels.js'
import { gatherColumn, PUT, type OperationBuffer, type Operations } from '../records/operations.js'
import { KernelOrder } from './kernel-sort.js'
import { sortedOrder } from './sort.js'

/** Fewer rows are sorted faster without a kernel. */
const KERNEL_ROWS_MIN = 32

/**
 * Appends rows [from, to) of `source` to `into`, sorted by key; rows of one key stay in their order.
 *
 * `shared`: for each lane the value that all rows have, if it is known; then the column of `source` means nothing.
 */
export function appendSorted(
  source: Operations,
  from: number,
  to: number,
  keyLaneCount: number,
  into: OperationBuffer,
  shared: readonly (number | undefined)[] = [],
): void {
  const at = into.count
  into.reserve(to - from)
  const order = kernelOrder(source, from, to, keyLaneCount, into)
  const rows = order ?? sortedOrder(source.lanes, keyLaneCount, from, to)
  for (let lane = 0; lane < into.lanes.length; lane++) {
    const value = shared[lane]
    const [column, target] = [source.lanes[lane]!, into.lanes[lane]!]
    if (value !== undefined) target.fill(value, at, at + to - from)
    else if (order !== undefined) order.gather(column.byteOffset + 4 * from, 4, 4, target, at)
    else gatherColumn(column, rows as Uint32Array, target, at)
  }
  if (source.kinds !== undefined) {
    const kinds = into.ensureKinds()
    if (order === undefined) gatherColumn(source.kinds, rows as Uint32Array, kinds, at)
    else for (let i = 0; i < to - from; i++) kinds[at + i] = source.kinds[from + order.rowAt(i)]!
  } else into.kinds?.fill(PUT, at, at + to - from)
  into.count += to - from
  order?.close()
}

/** `undefined`: the kernels cannot be used. */
function kernelOrder(
  { lanes }: Operations,
  from: number,
  to: number,
  keyLaneCount: number,
  into: Operations,
): KernelOrder | undefined {
  const present = kernels()
  if (present === undefined || to - from < KERNEL_ROWS_MIN) return undefined
  if (!present.hasAll(lanes) || !present.hasAll(into.lanes)) return undefined
  const keyLanes = lanes.slice(0, keyLaneCount).map(column => column.byteOffset + 4 * from)
  return KernelOrder.of({ keyLanes, stride: 4, count: to - from })
}
