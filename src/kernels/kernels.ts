/**
 * The kernels of a worker thread: the hot loops of its jobs as WebAssembly. Each has a twin in TypeScript, which does the
 * same where there are no kernels: on other threads, without WebAssembly or memory for it, and with columns that lie
 * elsewhere. docs/decisions/kernels.md.
 *
 * The memory belongs to the job that runs. Invariant: when a job has ended, nobody uses what it has taken.
 */
import { Buffer } from 'node:buffer'
import { assert } from '../base/assert.js'
import { Arena } from './arena.js'
import { KERNEL_MODULE } from './module.js'

/** The system gives memory only where it is touched. A job that needs more than this goes on without kernels. */
const MEMORY_BYTES = 2 ** 28
const MEMORY_PAGE_BYTES = 2 ** 16

/** What `assembly/index.ts` exports; numbers are addresses, where nothing else is said. */
interface KernelFunctions {
  hashKeys1(keys: number, count: number, hashes: number): number
  hashKeys2(highs: number, lows: number, count: number, hashes: number): number
  addToFilter(block: number, lines: number, probes: number, hashes: number, count: number): void
  decodePage(page: number, keyLanes: number, valueLanes: number, columns: number): void
  encoderBytes(keyLanes: number, valueLanes: number): number
  initEncoder(encoder: number, keyLanes: number, valueLanes: number, freeBits: number): number
  fit(encoder: number, from: number, count: number, firstStep: number): number
  bounds(encoder: number): number
  write(encoder: number, from: number, page: number, pageBytes: number): void
  sortCounterBytes(count: number): number
  sortKeys(
    highs: number,
    lows: number,
    keyLanes: number,
    stride: number,
    count: number,
    words: number,
    spare: number,
    counters: number,
  ): void
  gather(words: number, count: number, column: number, stride: number, bytes: number, out: number): void
  widenExtremes(column: number, count: number, extremes: number): void
  countBins(column: number, count: number, shift: number, first: number, bins: number): void
  splitRows(
    column: number,
    count: number,
    shift: number,
    first: number,
    nextOfBin: number,
    rowBytes: number,
    lanes: number,
    laneCount: number,
    places: number,
  ): void
}

export class Kernels {
  readonly run: KernelFunctions
  /** Never grown, so that arrays in it stay valid. */
  readonly buffer: ArrayBuffer
  /** All of it. */
  readonly words: Uint32Array
  /** Data pages that kernels have written and read in the job that runs. */
  pages = 0
  readonly #arena: Arena

  constructor(run: KernelFunctions, buffer: ArrayBuffer) {
    this.run = run
    this.buffer = buffer
    this.words = new Uint32Array(buffer)
    this.#arena = new Arena(buffer.byteLength)
  }

  /** An array that may hold anything; `undefined` where the memory has no room for it. */
  takeWords(length: number): Uint32Array | undefined {
    const at = this.#arena.take(length * 4)
    return at === 0 ? undefined : new Uint32Array(this.buffer, at, length)
  }

  /** The same. */
  takeBytes(length: number): Uint8Array | undefined {
    const at = this.#arena.take(length)
    return at === 0 ? undefined : new Uint8Array(this.buffer, at, length)
  }

  /** Takes back an array that it has given. Requires: nobody uses it any more. */
  giveBack(array: Uint32Array | Uint8Array): void {
    this.#arena.giveBack(array.byteOffset, array.byteLength)
  }

  has(array: Uint32Array | Uint8Array): boolean {
    return array.buffer === this.buffer
  }

  hasAll(columns: readonly Uint32Array[]): boolean {
    for (const column of columns) if (column.buffer !== this.buffer) return false
    return true
  }

  /** For the next job. */
  clear(): void {
    this.pages = 0
    this.#arena.clear()
  }
}

/** Made by the first job of the thread; `null`: that failed. */
let loaded: Kernels | null | undefined
let current: Kernels | undefined

/** The kernels, while this thread runs a job that may use them. */
export function kernels(): Kernels | undefined {
  return current
}

/** Lets what follows use the kernels, as far as there are any. Requires: the thread runs no other job. */
export function beginKernels(): void {
  assert(current === undefined, 'a thread runs one job at a time')
  if (loaded === undefined) loaded = load() ?? null
  loaded?.clear()
  current = loaded ?? undefined
}

/** Frees what was taken since {@link beginKernels}. */
export function endKernels(): void {
  current = undefined
}

/** As far as it is used here: the types of Node.js do not know it. */
interface WebAssemblyApi {
  readonly Module: new (bytes: Uint8Array) => object
  readonly Memory: new (size: { initial: number; maximum: number }) => { readonly buffer: ArrayBuffer }
  readonly Instance: new (module: object, imports: object) => { readonly exports: unknown }
}

/** `undefined` without WebAssembly or its vector instructions, and where memory is short. */
export function load(): Kernels | undefined {
  const { WebAssembly } = globalThis as { WebAssembly?: WebAssemblyApi }
  if (WebAssembly === undefined) return undefined
  try {
    const module = new WebAssembly.Module(Buffer.from(KERNEL_MODULE, 'base64'))
    const pages = MEMORY_BYTES / MEMORY_PAGE_BYTES
    const memory = new WebAssembly.Memory({ initial: pages, maximum: pages })
    const { exports } = new WebAssembly.Instance(module, { env: { memory } })
    return new Kernels(exports as KernelFunctions, memory.buffer)
  } catch {
    return undefined
  }
}

/** A column of `length` words that may hold anything: in the memory of the kernels if a job that uses them runs. */
export function newColumn(length: number): Uint32Array {
  return current?.takeWords(length) ?? new Uint32Array(length)
}

/** The same for bytes. */
export function newBytes(length: number): Uint8Array {
  return current?.takeBytes(length) ?? new Uint8Array(length)
}

/** Requires: nobody uses the column any more. */
export function giveBackColumn(column: Uint32Array | Uint8Array): void {
  if (current?.has(column) === true) current.giveBack(column)
}
