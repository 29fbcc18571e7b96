/**
 * The object store of the interleavings: each call waits at a gate, and what keeps the gates decides what becomes of it.
 *
 * It is strict: the version of a pointer is the checksum of its content, as an ETag is, so that equal content is the same.
 */
import { createHash } from 'node:crypto'
import { FlashTableError } from '../../../src/base/errors.js'
import { isRange } from '../../../src/store/s3-answers.js'
import type {
  ByteRange,
  ObjectInfo,
  ObjectSource,
  ObjectStore,
  PointerContent,
  UploadChoice,
} from '../../../src/store/object-store.js'

/** What becomes of a call, and with which odds. */
export type Fault =
  | 'none'
  /** It never arrives: connection refused, 500, 503. */
  | 'lost'
  /** 409: another request for this object was under way. Of a swap. */
  | 'conflict'
  /** It is done, and the answer is lost, or comes too late. */
  | 'unanswered'
  /** It is done later, although it has failed. */
  | 'late'
  /** It is done, and once more later: something on the way has sent it again. */
  | 'twice'
  /** Half of the body arrives; of a range, all of the object; a bit of it is another one. */
  | 'half'
  | 'whole'
  | 'flipped'
  /** A list as it was some calls before. */
  | 'stale'

export const FAULTS: Readonly<Record<StoreCallName, readonly Fault[]>> = {
  get: ['lost', 'half', 'whole', 'flipped'],
  load: ['lost', 'half', 'flipped'],
  put: ['lost', 'unanswered', 'late', 'twice'],
  swap: ['lost', 'conflict', 'unanswered', 'late', 'twice'],
  delete: ['lost', 'unanswered', 'late', 'twice'],
  abortUploads: ['lost', 'unanswered', 'late'],
  list: ['lost', 'stale'],
  now: ['lost'],
}

export type StoreCallName = 'get' | 'load' | 'put' | 'swap' | 'delete' | 'abortUploads' | 'list' | 'now'

/** A call at its gate. */
export interface StoreRequest {
  readonly name: StoreCallName
  readonly key: string
  /** Does it. What the store changes is changed here, and nowhere else. */
  readonly perform: () => unknown
  readonly fault: (fault: Fault) => void
}

/** What is stored. */
export class Stored {
  readonly objects = new Map<string, Uint8Array>()
  readonly pointers = new Map<string, PointerContent>()
  now = 1_000_000
  /** Keys as they were some calls before. */
  #before: ObjectInfo[] = []

  list(): ObjectInfo[] {
    return [...this.objects]
      .map(([key, { byteLength }]) => ({ key, bytes: byteLength }))
      .toSorted((a, b) => (a.key < b.key ? -1 : 1))
  }

  /** Remembers what a stale list says. */
  remember(): void {
    this.#before = this.list()
  }

  get stale(): readonly ObjectInfo[] {
    return this.#before
  }
}

/** Who makes a call, for the invariants. `Requires`: called when the store is changed. */
export interface Observer {
  put(key: string, bytes: Uint8Array): void
  swapped(key: string, bytes: Uint8Array): void
  sendsSwap(key: string, bytes: Uint8Array): void
  deletes(key: string): void
}

export class GatedStore implements ObjectStore {
  readonly url = 'sim://store'
  readonly #stored: Stored
  readonly #observer: Observer
  readonly #gate: (request: StoreRequest) => void

  constructor(stored: Stored, observer: Observer, gate: (request: StoreRequest) => void) {
    this.#stored = stored
    this.#observer = observer
    this.#gate = gate
  }

  below(): never {
    throw new Error('one table has the whole store')
  }

  get(key: string, { range }: { readonly range?: ByteRange } = {}): Promise<Uint8Array | undefined> {
    const { objects } = this.#stored
    const answer = (fault: Fault): Uint8Array | undefined => {
      const all = objects.get(key)
      if (all === undefined) return undefined
      const wanted = range ?? { start: 0, end: all.byteLength }
      // As it is on the wire; then what the port makes of it.
      const body = fault === 'whole' ? all : onWire(all.subarray(wanted.start, wanted.end), fault)
      const said = fault === 'whole' ? undefined : `bytes ${wanted.start}-${wanted.end - 1}/${all.byteLength}`
      if (body.byteLength === wanted.end - wanted.start && isRange(said, range)) return body
      throw unavailable('the answer is another range')
    }
    return this.#call<Uint8Array | undefined>('get', key, () => undefined, answer)
  }

  async put(key: string, source: ObjectSource): Promise<void> {
    const bytes = new Uint8Array(source.bytes)
    await source.read(0, bytes)
    await this.#call('put', key, () => {
      this.#observer.put(key, bytes)
      this.#stored.objects.set(key, bytes)
    })
  }

  load(key: string): Promise<PointerContent | undefined> {
    const answer = (fault: Fault): PointerContent | undefined => {
      const content = this.#stored.pointers.get(key)
      if (content === undefined) return undefined
      const bytes = onWire(content.bytes, fault)
      if (bytes.byteLength !== content.bytes.byteLength) throw unavailable('half of the body is missing')
      return { ...content, bytes }
    }
    return this.#call<PointerContent | undefined>('load', key, () => undefined, answer)
  }

  swap(key: string, given: Uint8Array, expected: string | undefined): Promise<string | undefined> {
    const bytes = Uint8Array.from(given)
    this.#observer.sendsSwap(key, bytes)
    return this.#call('swap', key, () => {
      if (this.#stored.pointers.get(key)?.version !== expected) return undefined
      const version = createHash('md5').update(bytes).digest('hex')
      this.#stored.pointers.set(key, { bytes, version })
      this.#observer.swapped(key, bytes)
      return version
    })
  }

  async *list(prefix: string): AsyncGenerator<ObjectInfo> {
    const all = await this.#call<readonly ObjectInfo[]>(
      'list',
      prefix,
      () => this.#stored.list(),
      fault => (fault === 'stale' ? this.#stored.stale : this.#stored.list()),
    )
    yield* all.filter(({ key }) => key.startsWith(prefix))
  }

  delete(key: string): Promise<void> {
    return this.#call('delete', key, () => {
      this.#observer.deletes(key)
      this.#stored.objects.delete(key)
      this.#stored.pointers.delete(key)
    })
  }

  abortUploads(prefix: string, _choice: UploadChoice = {}): Promise<void> {
    return this.#call('abortUploads', prefix, () => {})
  }

  now(): Promise<number> {
    return this.#call('now', '', () => this.#stored.now)
  }

  close(): Promise<void> {
    return Promise.resolve()
  }

  /** `answer`: of a call that only reads, what it answers; a fault may change that. */
  #call<T>(name: StoreCallName, key: string, perform: () => T, answer?: (fault: Fault) => T): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      this.#gate({
        name,
        key,
        perform,
        fault: fault => {
          try {
            if (fault === 'lost' || fault === 'late') throw unavailable('it was not reached')
            if (fault === 'conflict') return resolve(undefined as T)
            const result = answer === undefined ? perform() : answer(fault)
            if (fault === 'unanswered') throw unavailable('no answer')
            resolve(result)
          } catch (error) {
            reject(error as Error)
          }
        },
      })
    })
  }
}

function onWire(bytes: Uint8Array, fault: Fault): Uint8Array {
  if (fault === 'half') return bytes.slice(0, bytes.byteLength >> 1)
  const body = bytes.slice()
  // Another place each time, and always the same in the same run.
  if (fault === 'flipped') body[(bytes.byteLength * 7919 + (bytes[20] ?? 0) * 31) % bytes.byteLength]! ^= 4
  return body
}

function unavailable(reason: string): FlashTableError {
  return new FlashTableError('FLASHTABLE_UNAVAILABLE', `the store sim://store cannot do that: ${reason}`)
}
