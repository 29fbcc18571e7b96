/**
 * A store held to the port: what its calls reject with gets a code, and what they answer is looked at. Every store that
 * the library is given is guarded, so the code behind it need not know who has made it.
 */
import { isUint8Array } from 'node:util/types'
import { throwIfAborted } from '../async/abort.js'
import { describeValue } from '../base/describe-value.js'
import { FlashTableError, messageOf } from '../base/errors.js'
import type {
  ByteRange,
  ObjectInfo,
  ObjectSource,
  ObjectStore,
  PointerContent,
  StoreCall,
  UploadChoice,
} from './object-store.js'

export class GuardedStore implements ObjectStore {
  readonly url: string
  readonly #store: ObjectStore

  constructor(store: ObjectStore) {
    this.#store = store
    this.url = store.url
  }

  get(
    key: string,
    options: StoreCall & { readonly range?: ByteRange } = {},
  ): Promise<Uint8Array | undefined> {
    const { range } = options
    return this.#call(`read ${key}`, options, async () => {
      const bytes: unknown = await this.#store.get(key, options)
      if (bytes === undefined) return undefined
      if (!isUint8Array(bytes)) throw this.#lies('get', 'a Uint8Array', bytes)
      const wanted = range === undefined ? bytes.byteLength : range.end - range.start
      if (bytes.byteLength === wanted) return bytes
      throw new Error(`it was asked for ${wanted} bytes from ${range!.start} on and gave ${bytes.byteLength}`)
    })
  }

  /** What the source rejects with is not the store's failure, whatever the store makes of it. */
  async put(key: string, source: ObjectSource, options: StoreCall = {}): Promise<void> {
    let failure: { readonly error: unknown } | undefined
    const read = async (position: number, buffer: Uint8Array): Promise<void> => {
      try {
        await source.read(position, buffer)
      } catch (error) {
        failure = { error }
        throw error
      }
    }
    await this.#call(`write ${key}`, options, async () => {
      try {
        await this.#store.put(key, { bytes: source.bytes, read }, options)
      } catch (error) {
        if (failure === undefined) throw error
      }
    })
    if (failure !== undefined) throw failure.error
  }

  load(key: string, options: StoreCall = {}): Promise<PointerContent | undefined> {
    return this.#call(`read ${key}`, options, async () => {
      const content = await this.#store.load(key, options)
      if (content === undefined) return undefined
      const { bytes, version } = (content ?? {}) as Partial<PointerContent>
      if (isUint8Array(bytes) && typeof version === 'string') return content
      throw this.#lies('load', '{ bytes: Uint8Array, version: string }', content)
    })
  }

  swap(
    key: string,
    bytes: Uint8Array,
    expected: string | undefined,
    options: StoreCall = {},
  ): Promise<string | undefined> {
    return this.#call(`replace ${key}`, options, async () => {
      const version: unknown = await this.#store.swap(key, bytes, expected, options)
      if (version === undefined || typeof version === 'string') return version
      throw this.#lies('swap', 'the new version, a string', version)
    })
  }

  async *list(prefix: string, options: StoreCall = {}): AsyncGenerator<ObjectInfo> {
    const what = `list ${prefix}`
    const found = await this.#call(what, options, () =>
      Promise.resolve(this.#store.list(prefix, options)[Symbol.asyncIterator]()),
    )
    try {
      for (;;) {
        const { done, value } = await this.#call(what, options, () => Promise.resolve(found.next()))
        if (done === true) return
        const { key, bytes } = (value ?? {}) as Partial<ObjectInfo>
        if (typeof key !== 'string' || !isCount(bytes))
          throw this.#lies('list', '{ key: string, bytes: number }', value)
        yield { key, bytes }
      }
    } finally {
      await found.return?.()
    }
  }

  delete(key: string, options: StoreCall = {}): Promise<void> {
    return this.#call(`delete ${key}`, options, () => this.#store.delete(key, options))
  }

  abortUploads(prefix: string, options: StoreCall & UploadChoice = {}): Promise<void> {
    return this.#call(`end uploads below ${prefix}`, options, () => this.#store.abortUploads(prefix, options))
  }

  now(options: StoreCall = {}): Promise<number> {
    return this.#call('tell its time', options, async () => {
      const now: unknown = await this.#store.now(options)
      if (isCount(now)) return now
      throw this.#lies('now', 'whole milliseconds since 1970', now)
    })
  }

  below(path: string): ObjectStore {
    return new GuardedStore(this.#store.below(path))
  }

  /** Stores of users may have nothing to close. */
  async close(): Promise<void> {
    await (this.#store as Partial<ObjectStore>).close?.()
  }

  /** Runs a call, which may throw instead of rejecting. An error with a code of ours stays what it is. */
  async #call<T>(what: string, { signal }: StoreCall, action: () => Promise<T>): Promise<T> {
    throwIfAborted(signal)
    try {
      return await action()
    } catch (error) {
      throwIfAborted(signal)
      if (String((error as { code?: unknown } | null)?.code).startsWith('FLASHTABLE_')) throw error
      const message = `the store ${this.url} cannot ${what}: ${messageOf(error)}; try again`
      throw new FlashTableError('FLASHTABLE_UNAVAILABLE', message, { cause: error })
    }
  }

  #lies(method: string, expected: string, found: unknown): FlashTableError {
    return new FlashTableError(
      'FLASHTABLE_UNSUPPORTED_STORE',
      `${method} of the store ${this.url} gave ${describeValue(found)}, expected ${expected}`,
    )
  }
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0
}
