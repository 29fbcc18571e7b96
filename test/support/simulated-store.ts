/**
 * An object store of the tests: in memory, strict, and as unreliable as it is told to be. Every call is a numbered step, and
 * everything random comes from a seed: the same seed and the same calls give the same run.
 */
import { FlashTableError } from '../../src/base/errors.js'
import { checkBelow, urlBelow } from '../../src/store/below.js'
import type {
  ByteRange,
  ObjectInfo,
  ObjectSource,
  ObjectStore,
  PointerContent,
  StoreCall,
  UploadChoice,
} from '../../src/store/object-store.js'
import { Random } from './random.js'

/** What may become of a call. `late`: it is done some calls later, although it has failed. */
export type StoreFault = 'none' | 'before' | 'after' | 'late'

/** What is stored: shared by all who use the store. */
export class StoredObjects {
  readonly objects = new Map<string, Uint8Array>()
  readonly pointers = new Map<string, PointerContent>()
  /** Uploads that were begun and never finished. */
  readonly uploads = new Set<string>()
  /** Keys that were ever put. */
  readonly used = new Set<string>()
  /** Checked after every call. */
  onCall: () => void = () => {}
  now = 1_000_000
  calls = 0
  readonly #late: { at: number; run: () => void }[] = []
  #nextVersion = 1

  step(): void {
    this.calls++
    this.now += 10
    for (const call of this.#late.filter(({ at }) => at <= this.calls)) {
      this.#late.splice(this.#late.indexOf(call), 1)
      call.run()
      this.onCall()
    }
  }

  /** Does what is late now. */
  settle(): void {
    this.calls += 1000
    this.step()
  }

  later(calls: number, run: () => void): void {
    this.#late.push({ at: this.calls + calls, run })
  }

  put(key: string, bytes: Uint8Array): void {
    if (this.used.has(key)) {
      const before = this.objects.get(key)
      // A late twin of the same put does no harm; anything else does.
      if (before !== undefined && Buffer.compare(before, bytes) === 0) return
      throw new Error(`${key} was put again`)
    }
    this.used.add(key)
    this.objects.set(key, bytes)
  }

  swap(key: string, bytes: Uint8Array, expected: string | undefined): string | undefined {
    if (this.pointers.get(key)?.version !== expected) return undefined
    const version = `v${this.#nextVersion++}`
    this.pointers.set(key, { bytes: Uint8Array.from(bytes), version })
    return version
  }
}

/** One user of it. */
export class SimulatedStore implements ObjectStore {
  readonly url = 'sim://store'
  readonly stored: StoredObjects
  /** Calls so far, by name. */
  readonly counts: Record<string, number> = {}
  /** This call of its own and all later ones fail, and do nothing: the machine is gone. */
  crashAt = Infinity
  /** The odds that a call fails in some way. */
  odds: number
  /** What becomes of a call, instead of a random fault. */
  faultOf: ((name: string, own: number) => StoreFault) | undefined
  /** Called before each call does anything: who awaits something there is asleep meanwhile. */
  beforeCall: (name: string, own: number) => Promise<void> = () => Promise.resolve()
  #own = 0
  readonly #random: Random

  constructor(stored = new StoredObjects(), seed = 0, odds = 0) {
    this.stored = stored
    this.#random = new Random(seed)
    this.odds = odds
  }

  get ownCalls(): number {
    return this.#own
  }

  get(
    key: string,
    { range, signal }: StoreCall & { readonly range?: ByteRange } = {},
  ): Promise<Uint8Array | undefined> {
    return this.#call('get', signal, () => {
      const bytes = this.stored.objects.get(key)
      if (bytes === undefined) return undefined
      const { start, end } = range ?? { start: 0, end: bytes.byteLength }
      if (end > bytes.byteLength) throw unavailable(`${key} ends at ${bytes.byteLength}`)
      return bytes.slice(start, end)
    })
  }

  async put(key: string, source: ObjectSource, { signal }: StoreCall = {}): Promise<void> {
    const bytes = new Uint8Array(source.bytes)
    await source.read(0, bytes)
    await this.#call('put', signal, () => this.stored.put(key, bytes))
  }

  load(key: string, { signal }: StoreCall = {}): Promise<PointerContent | undefined> {
    return this.#call('load', signal, () => this.stored.pointers.get(key))
  }

  swap(
    key: string,
    bytes: Uint8Array,
    expected: string | undefined,
    { signal }: StoreCall = {},
  ): Promise<string | undefined> {
    return this.#call('swap', signal, () => this.stored.swap(key, bytes, expected))
  }

  async *list(prefix: string, { signal }: StoreCall = {}): AsyncGenerator<ObjectInfo> {
    const all = await this.#call('list', signal, () =>
      [...this.stored.objects].map(([key, { byteLength }]) => ({ key, bytes: byteLength })),
    )
    yield* all.filter(({ key }) => key.startsWith(prefix)).toSorted((a, b) => (a.key < b.key ? -1 : 1))
  }

  delete(key: string, { signal }: StoreCall = {}): Promise<void> {
    return this.#call('delete', signal, () => {
      this.stored.objects.delete(key)
      this.stored.pointers.delete(key)
    })
  }

  abortUploads(prefix: string, { signal, which = () => true }: StoreCall & UploadChoice = {}): Promise<void> {
    return this.#call('abortUploads', signal, () => {
      for (const key of this.stored.uploads)
        if (key.startsWith(prefix) && which(key)) this.stored.uploads.delete(key)
    })
  }

  now({ signal }: StoreCall = {}): Promise<number> {
    return this.#call('now', signal, () => this.stored.now)
  }

  /** Its calls are calls of this store, with the same faults. */
  below(path: string): ObjectStore {
    return new StoreBelow(this, `${checkBelow(path)}/`)
  }

  close(): Promise<void> {
    return Promise.resolve()
  }

  async #call<T>(name: string, signal: AbortSignal | undefined, action: () => T): Promise<T> {
    signal?.throwIfAborted()
    try {
      return await this.#step(name, action)
    } catch (error) {
      // What a test finds, and the end of a machine, are no failures of a store: nobody is to try again.
      if (!(error instanceof FlashTableError)) Object.assign(error as Error, { code: 'FLASHTABLE_TEST' })
      throw error
    }
  }

  async #step<T>(name: string, action: () => T): Promise<T> {
    await Promise.resolve()
    this.counts[name] = (this.counts[name] ?? 0) + 1
    const own = ++this.#own
    await this.beforeCall(name, own)
    this.stored.step()
    if (own >= this.crashAt) throw new Error('the machine is gone')
    const fault = this.faultOf?.(name, own) ?? this.#fault()
    if (fault === 'before') throw unavailable('it was not reached')
    if (fault === 'late') {
      this.stored.later(1 + this.#random.below(20), () => void action())
      throw unavailable('no answer')
    }
    const result = action()
    this.stored.onCall()
    if (fault === 'after') throw unavailable('the answer was lost')
    return result
  }

  #fault(): StoreFault {
    if (!this.#random.chance(this.odds)) return 'none'
    return (['before', 'after', 'late'] as const)[this.#random.below(3)]!
  }
}

class StoreBelow implements ObjectStore {
  readonly url: string
  readonly #parent: SimulatedStore
  readonly #prefix: string

  constructor(parent: SimulatedStore, prefix: string) {
    this.#parent = parent
    this.#prefix = prefix
    this.url = urlBelow(parent.url, prefix.slice(0, -1))
  }

  get(key: string, options?: StoreCall & { readonly range?: ByteRange }): Promise<Uint8Array | undefined> {
    return this.#parent.get(this.#prefix + key, options)
  }

  put(key: string, source: ObjectSource, options?: StoreCall): Promise<void> {
    return this.#parent.put(this.#prefix + key, source, options)
  }

  load(key: string, options?: StoreCall): Promise<PointerContent | undefined> {
    return this.#parent.load(this.#prefix + key, options)
  }

  swap(
    key: string,
    bytes: Uint8Array,
    expected: string | undefined,
    options?: StoreCall,
  ): Promise<string | undefined> {
    return this.#parent.swap(this.#prefix + key, bytes, expected, options)
  }

  async *list(prefix: string, options?: StoreCall): AsyncGenerator<ObjectInfo> {
    for await (const { key, bytes } of this.#parent.list(this.#prefix + prefix, options))
      yield { key: key.slice(this.#prefix.length), bytes }
  }

  delete(key: string, options?: StoreCall): Promise<void> {
    return this.#parent.delete(this.#prefix + key, options)
  }

  abortUploads(
    prefix: string,
    { which = () => true, ...call }: StoreCall & UploadChoice = {},
  ): Promise<void> {
    const below = (key: string): boolean => which(key.slice(this.#prefix.length))
    return this.#parent.abortUploads(this.#prefix + prefix, { ...call, which: below })
  }

  now(options?: StoreCall): Promise<number> {
    return this.#parent.now(options)
  }

  below(path: string): ObjectStore {
    return new StoreBelow(this.#parent, `${this.#prefix}${checkBelow(path)}/`)
  }

  close(): Promise<void> {
    return Promise.resolve()
  }
}

function unavailable(reason: string): FlashTableError {
  return new FlashTableError('FLASHTABLE_UNAVAILABLE', `the store sim://store cannot do that: ${reason}`)
}
