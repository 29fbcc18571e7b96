/** The table of `flashtable bench`, its clock, and the checks of what lookups give. */
import { nextMerge } from '../../../src/compaction/policy.js'
import { FlashTable, struct, type TableStats } from '../../../src/index.js'

export const ENCODINGS = {
  keyEncoding: 'u64',
  valueEncoding: struct({ time: 'u16', flags: 'u16', id: 'i32' }),
} as const

/** Records in a call of `putColumns`: 1 MiB of them. */
export const BATCH_RECORDS = 65_536

/** The defaults of the options; no others are measured. */
const FANOUT = 16
const RUNS_PER_FLUSH = 8
const POLL_MS = 20

export type BenchTable = Awaited<ReturnType<typeof openTable>>

/** What each part works with. */
export interface Bench {
  /** The directory of its table. */
  readonly directory: string
  readonly records: number
  /** Ends it, with its reason. */
  readonly signal: AbortSignal
  readonly onProgress: (done: number, total: number) => void
}

export function openTable(directory: string) {
  return FlashTable.open(directory, ENCODINGS)
}

/** Waits until no seal, no flush and no merge is left to do. */
export async function settled(table: BenchTable, signal: AbortSignal): Promise<TableStats> {
  for (;;) {
    signal.throwIfAborted()
    const stats = await table.stats()
    const { memtable, runs, files } = stats
    if (memtable.sealed === 0 && runs.count < RUNS_PER_FLUSH && nextMerge(files, FANOUT) === undefined)
      return stats
    await new Promise(resolve => setTimeout(resolve, POLL_MS))
  }
}

/** A clock that runs only while something is measured. */
export class StopWatch {
  #ms = 0

  get seconds(): number {
    return this.#ms / 1000
  }

  async time<Result>(action: () => Promise<Result>): Promise<Result> {
    const startMs = performance.now()
    const result = await action()
    this.#ms += performance.now() - startMs
    return result
  }
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  const half = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[half]! : (sorted[half - 1]! + sorted[half]!) / 2
}

/** A wrong answer is a bug, and a figure without right answers is none. */
export function check(right: boolean, what: () => string): void {
  if (!right) throw new Error(`the benchmark found wrong answers: ${what()}`)
}

/** Each key of the call has its one record: rows are in the order of the keys. */
export function checkHits(
  { query, time, id }: { query: Uint32Array; time: Uint16Array; id: Int32Array },
  numbers: Uint32Array,
): void {
  check(query.length === numbers.length, () => `${query.length} hits for ${numbers.length} keys`)
  let wrong = 0
  for (let row = 0; row < numbers.length; row++) {
    const number = numbers[row]!
    if (query[row] !== row || id[row] !== number || time[row] !== (number & 0xffff)) wrong++
  }
  check(wrong === 0, () => `${wrong} of ${numbers.length} hits of a call`)
}
