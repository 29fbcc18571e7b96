/**
 * A store that has no content: it counts requests and bytes, says how long calls take on a virtual clock, and knows which
 * objects there are. What a key names, and what is deleted, is checked.
 */
import { HASH_START, hashLane } from '../../../src/records/hash.js'

/** As `store/s3-store.ts` uploads: larger objects in parts. */
const SINGLE_PUT_BYTES = 64 * 2 ** 20
const PART_BYTES_MIN = 16 * 2 ** 20
const PARTS_MAX = 9000
const PARTS_AT_ONCE = 3

/** How a store answers: the median and the 99th percentile of a small request, and what one stream carries. */
export interface StoreLatency {
  readonly medianMs: number
  readonly p99Ms: number
  readonly bytesPerSecond: number
}

/** What S3 is said to do in its region: an assumption, and no figure of this machine. */
export const S3_LATENCY: StoreLatency = { medianMs: 30, p99Ms: 200, bytesPerSecond: 80e6 }

/** z of the 99th percentile of a normal distribution. */
const Z_99 = 2.326

export class CountingStore {
  /** Requests of the class of PUT, and of it those for the manifest. */
  puts = 0
  swaps = 0
  deletes = 0
  uploadedBytes = 0
  /** Objects that were ever put. */
  objects = 0
  manifestBytes = 0
  storedBytes = 0
  storedBytesMost = 0
  /** Bytes times milliseconds: what storage costs. */
  byteMs = 0
  readonly #sizes = new Map<string, number>()
  readonly #used = new Set<string>()
  readonly #latency: StoreLatency
  #nowMs = 0
  #draws: number

  constructor(latency: StoreLatency, seed: number) {
    this.#latency = latency
    this.#draws = seed * 1_000_000_007
  }

  get count(): number {
    return this.#sizes.size
  }

  has(key: string): boolean {
    return this.#sizes.has(key)
  }

  /** The clock goes on. */
  passTo(nowMs: number): void {
    this.byteMs += this.storedBytes * (nowMs - this.#nowMs)
    this.#nowMs = nowMs
  }

  /** Stores an object; returns how long that took. */
  put(key: string, bytes: number): number {
    if (this.#used.has(key)) throw new Error(`${key} was put twice`)
    this.#used.add(key)
    this.#sizes.set(key, bytes)
    this.objects++
    this.uploadedBytes += bytes
    this.storedBytes += bytes
    this.storedBytesMost = Math.max(this.storedBytesMost, this.storedBytes)
    if (bytes <= SINGLE_PUT_BYTES) {
      this.puts++
      return this.#requestMs() + (1000 * bytes) / this.#latency.bytesPerSecond
    }
    const parts = Math.ceil(bytes / Math.max(PART_BYTES_MIN, Math.ceil(bytes / PARTS_MAX)))
    this.puts += parts + 2
    let ms = this.#requestMs() + this.#requestMs()
    for (let part = 0; part < parts; part += PARTS_AT_ONCE) ms += this.#requestMs()
    return ms + (1000 * bytes) / (PARTS_AT_ONCE * this.#latency.bytesPerSecond)
  }

  /** Replaces the manifest. */
  swap(bytes: number): number {
    this.puts++
    this.swaps++
    this.manifestBytes += bytes
    return this.#requestMs() + (1000 * bytes) / this.#latency.bytesPerSecond
  }

  delete(key: string): void {
    const bytes = this.#sizes.get(key)
    if (bytes === undefined) throw new Error(`${key} is deleted, and is not there`)
    this.#sizes.delete(key)
    this.storedBytes -= bytes
    this.deletes++
  }

  /** A number in [0, 1), the same in each run. */
  random(): number {
    const draw = this.#draws++
    return (hashLane(hashLane(HASH_START, draw >>> 0), Math.floor(draw / 2 ** 32)) >>> 0) / 2 ** 32
  }

  /** Log-normal. */
  #requestMs(): number {
    const { medianMs, p99Ms } = this.#latency
    const normal = Math.sqrt(-2 * Math.log(1 - this.random())) * Math.cos(2 * Math.PI * this.random())
    return medianMs * Math.exp((normal * Math.log(p99Ms / medianMs)) / Z_99)
  }
}
