/** Appends rows in the order of their keys: batches of merges, of seals and of bulk loads. By kernels where there are some. */
import { kernels } from '../kernels/kernels.js'
import { gatherColumn, PUT, type OperationBuffer, type WideOperations } from '../records/operations.js'
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
  source: WideOperations,
  from: number,
  to: number,
  keyLaneCount: number,
  into: OperationBuffer,
  shared: readonly (number | undefined)[] = [],
): void {
  into.reserve(to - from)
  const order = kernelOrder(source, from, to, keyLaneCount, into)
  if (order === undefined)
    appendInOrder(source, sortedOrder(source.lanes, keyLaneCount, from, to), into, shared)
  else {
    appendByKernels(source, from, order, into, shared)
    order.close()
  }
}

function appendInOrder(
  { lanes, kinds }: WideOperations,
  order: Uint32Array,
  into: OperationBuffer,
  shared: readonly (number | undefined)[],
): void {
  const [at, to] = [into.count, into.count + order.length]
  for (let lane = 0; lane < into.lanes.length; lane++) {
    const [value, target] = [shared[lane], into.lanes[lane]!]
    if (value === undefined) gatherColumn(lanes[lane]!, order, target, at)
    else target.fill(value, at, to)
  }
  if (kinds !== undefined) gatherColumn(kinds, order, into.ensureKinds(), at)
  else into.kinds?.fill(PUT, at, to)
  into.count = to
}

/** As {@link appendInOrder}, by kernels. `order` counts rows from row `from` on. */
function appendByKernels(
  { lanes, kinds }: WideOperations,
  from: number,
  order: KernelOrder,
  into: OperationBuffer,
  shared: readonly (number | undefined)[],
): void {
  const [at, to] = [into.count, into.count + order.count]
  for (let lane = 0; lane < into.lanes.length; lane++) {
    const [value, target] = [shared[lane], into.lanes[lane]!]
    if (value === undefined) order.gather(lanes[lane]!.byteOffset + 4 * from, 4, 4, target, at)
    else target.fill(value, at, to)
  }
  if (kinds !== undefined) {
    const target = into.ensureKinds()
    for (let place = 0; place < order.count; place++) target[at + place] = kinds[from + order.rowAt(place)]!
  } else into.kinds?.fill(PUT, at, to)
  into.count = to
}

/** `undefined`: the kernels cannot be used. */
function kernelOrder(
  { lanes }: WideOperations,
  from: number,
  to: number,
  keyLaneCount: number,
  into: WideOperations,
): KernelOrder | undefined {
  const present = kernels()
  if (present === undefined || to - from < KERNEL_ROWS_MIN) return undefined
  if (!present.hasAll(lanes) || !present.hasAll(into.lanes)) return undefined
  const keyLanes = lanes.slice(0, keyLaneCount).map(column => column.byteOffset + 4 * from)
  return KernelOrder.of({ keyLanes, stride: 4, count: to - from })
}
