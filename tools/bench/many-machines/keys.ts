/** The keys of the benchmark, and what its processes tell each other. */

/** What a reader process is to do. */
export interface ReaderTask {
  readonly url: string
  readonly options: {
    readonly endpoint: string
    readonly region: string
    readonly credentials: { readonly accessKeyId: string; readonly secretAccessKey: string }
  }
  readonly records: number
  readonly seed: number
}

/** Hits a second, unless it is said otherwise. */
export interface ReaderFigures {
  readonly openMs: number
  readonly openRequests: number
  readonly coldOneByOne: number
  readonly coldAtOnce: number
  readonly coldColumns: number
  readonly requestsCold: number
  readonly cpuMsCold: number
  readonly diskOneByOne: number
  readonly warmOneByOne: number
  readonly requestsWarm: number
}

/** A number that is odd: multiplied with it, each position gives another key, spread over all. */
const SPREAD = 0x9e37_79b9_7f4a_7c15n

/**
 * Keys of the positions from `first` on; or, with a `seed`, of random positions below `records`.
 */
export function keysAt(seed: number, count: number, records: number, first = 0): BigUint64Array<ArrayBuffer> {
  let state = BigInt(seed) * 7_919n + 1n
  const next = (): bigint => {
    state = BigInt.asUintN(64, state * 6_364_136_223_846_793_005n + 1_442_695_040_888_963_407n)
    return (state >> 33n) % BigInt(records)
  }
  return BigUint64Array.from({ length: count }, (_, i) =>
    BigInt.asUintN(64, (seed === 0 ? BigInt(first + i) : next()) * SPREAD),
  )
}
