/** What a workload is, and what it is given. Each workload is a file in workloads/; each run is a process. */

/** The stores of records by key; the first is ours. */
export const STORES = ['flashtable', 'rocksdb', 'leveldb', 'lmdb', 'sqlite', 'memmap'] as const
/** DuckDB is a peer in what it reads and writes. */
export type StoreName = (typeof STORES)[number] | 'duckdb'

/** What a figure counts. */
export interface FigureKind {
  readonly unit: string
  /** Which is better; `undefined`: a fact, not a result. */
  readonly better?: 'less' | 'more'
  /** The target of flashtable, if there is one. */
  readonly target?: number
  /** Significant digits that are shown, if not three: where a target is close. */
  readonly digits?: number
  /** The target of flashtable as a multiple of the best peer in the same run. */
  readonly peerTarget?: number
}

/** What a run is given. */
export interface RunSettings {
  /** An empty directory. */
  readonly directory: string
  /** The block device under it, if it has its own. */
  readonly device: string | undefined
  readonly store: StoreName
  readonly records: number
  /** Everything at full size, however long it takes. */
  readonly full: boolean
}

/** One figure for each name; only those that could be measured. */
export type Figures = Record<string, number>

export interface Workload {
  readonly name: string
  /** What is done, in a sentence. */
  readonly sentence: string
  readonly stores: readonly StoreName[]
  /** By default. */
  readonly records: number
  readonly figures: Readonly<Record<string, FigureKind>>
  run(settings: RunSettings): Promise<Figures>
}

/** A store cannot be used here, or not in this way: the run is skipped with this reason. */
export class Skipped extends Error {}

/** Throws if an answer is wrong: a benchmark of wrong answers is worth nothing. */
export function check(holds: boolean, problem: () => string): void {
  if (!holds) throw new Error(`wrong answer: ${problem()}`)
}
