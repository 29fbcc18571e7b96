/**
 * A store held to the port: its failures get codes, and its answers are checked. The library guards every store that a
 * user gives it. So the rest of the library does not care who made a store.
 */
import { clearTimeout, setTimeout } from 'node:timers'
import { isUint8Array } from 'node:util/types'
import { abortReason, throwIfAborted } from '../async/abort.js'
import { describeValue, withoutSecrets } from '../base/describe-value.js'
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

/** How long a call may go on whose signal has aborted: a store that takes no notice must not hold a close for ever. */
const GIVE_UP_MS = 2000

const guards = new WeakMap<ObjectStore, GuardedStore>()

/** The same guard for the same store, so that it can be told from others with its url. */
export function guardedStore(store: ObjectStore): GuardedStore {
  if (store instanceof GuardedStore) return store
  const known = guards.get(store)
  if (known !== undefined) return known
  const guard = new GuardedStore(store)
  guards.set(store, guard)
  return guard
}

export class GuardedStore implements ObjectStore {
  readonly url: string
  readonly #store: ObjectStore
  readonly #giveUpMs: number

  constructor(store: ObjectStore, giveUpMs = GIVE_UP_MS) {
    this.#store = store
    this.#giveUpMs = giveUpMs
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

  /**
   * What the source rejects with is not the store's failure, whatever the store makes of it. Once this call has
   * settled, nothing is read from the source any more: its file may be closed.
   */
  async put(key: string, source: ObjectSource, options: StoreCall = {}): Promise<void> {
    let failure: { readonly error: unknown } | undefined
    let isOver = false
    const reads = new Set<Promise<void>>()
    const read = async (position: number, buffer: Uint8Array): Promise<void> => {
      if (isOver) throw new Error(`the write of ${key} is over`)
      let reading: Promise<void> | undefined
      try {
        this.#checkRead(source.bytes, position, buffer)
        reading = source.read(position, buffer)
        reads.add(reading)
        await reading
      } catch (error) {
        failure ??= { error }
        throw error
      } finally {
        reads.delete(reading!)
      }
    }
    try {
      await this.#call(`write ${key}`, options, async () => {
        try {
          await this.#store.put(key, { bytes: source.bytes, read }, options)
        } catch (error) {
          if (failure === undefined) throw error
        }
      })
    } finally {
      isOver = true
      await Promise.allSettled(reads)
    }
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
    const found = await this.#call(what, options, async () => {
      const list: unknown = await this.#store.list(prefix, options)
      const begin = (list as Partial<AsyncIterable<unknown>> | null | undefined)?.[Symbol.asyncIterator]
      if (typeof begin !== 'function') throw this.#lies('list', 'an async iterable', list)
      // Not the iterator itself: it may have a method `then`.
      return { list: begin.call(list) }
    })
    const end = async (): Promise<void> => void (await found.list.return?.())
    let isWaiting = false
    try {
      for (;;) {
        isWaiting = true
        const item: unknown = await this.#call(what, options, () => Promise.resolve(found.list.next()))
        isWaiting = false
        const { done, value } = (item ?? {}) as Partial<
          IteratorResult<Partial<ObjectInfo> | null | undefined>
        >
        if (done === true) return
        const { key, bytes } = value ?? {}
        if (typeof key !== 'string' || !isCount(bytes))
          throw this.#lies('list', '{ key: string, bytes: number }', value)
        yield { key, bytes }
      }
    } finally {
      // What has failed or was given up is not waited for, and how the list ends changes nothing.
      const ending = end().catch(() => {})
      if (!isWaiting) await unlessGivenUp(ending, options.signal, this.#giveUpMs).catch(() => {})
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
    let store: unknown
    try {
      store = this.#store.below(path)
    } catch (error) {
      throw this.#failure(`give the store at ${path}`, error)
    }
    const missing = missingOf(store)
    if (missing === undefined) return guardedStore(store as ObjectStore)
    throw this.#lies('below', `a store, but ${missing}`, store)
  }

  /** Stores of users may have nothing to close. */
  async close(): Promise<void> {
    await (this.#store as Partial<ObjectStore>).close?.()
  }

  /** Runs a call, which may throw instead of rejecting. An error with a code of ours stays what it is. */
  async #call<T>(what: string, { signal }: StoreCall, action: () => Promise<T>): Promise<T> {
    throwIfAborted(signal)
    try {
      return await unlessGivenUp(action(), signal, this.#giveUpMs)
    } catch (error) {
      throwIfAborted(signal)
      throw this.#failure(what, error)
    }
  }

  #failure(what: string, error: unknown): unknown {
    const { code, message } = told(error)
    if (code.startsWith('FLASHTABLE_')) return error
    const advice = message.endsWith('try again') ? '' : '; try again'
    const text = `the store ${this.url} cannot ${what}: ${message}${advice}`
    return new FlashTableError('FLASHTABLE_UNAVAILABLE', text, { cause: error })
  }

  /** What is beyond the end of the source would look like damage of its file. */
  #checkRead(bytes: number, position: number, buffer: unknown): void {
    if (isUint8Array(buffer) && isCount(position) && position + buffer.byteLength <= bytes) return
    const asked = `${describeValue(buffer)} from ${describeValue(position)} on`
    throw this.#lies('put', `to read a Uint8Array within the ${bytes} bytes of the source`, asked)
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

/** Calls that an object store has. */
const STORE_CALLS = ['get', 'put', 'load', 'swap', 'list', 'delete', 'abortUploads', 'now'] as const

/** Why it is no store; `undefined`: it is one. */
export function missingOf(store: unknown): string | undefined {
  if (typeof store !== 'object' || store === null) return 'it is no object'
  const given = store as Partial<Record<keyof ObjectStore, unknown>>
  const { url } = given
  if (typeof url !== 'string' || url === '') return 'its url is not a text that names the place'
  if (/\/\/[^/]*:[^/]*@/.test(url)) return 'its url has a password, and messages and files would have it'
  const missing = STORE_CALLS.find(name => typeof given[name] !== 'function')
  return missing && `it has no method ${missing}`
}

/** Code and message of whatever was thrown: its getters may throw, too. */
function told(error: unknown): { readonly code: string; readonly message: string } {
  try {
    const code: unknown = (error as { code?: unknown } | null | undefined)?.code
    return { code: typeof code === 'string' ? code : '', message: withoutSecrets(messageOf(error)) }
  } catch {
    return { code: '', message: describeValue(error) }
  }
}

/** What to call when a signal aborts: it has one listener, however many calls go on. */
const listening = new WeakMap<AbortSignal, Set<() => void>>()

function onceAborted(signal: AbortSignal, action: () => void): () => void {
  let actions = listening.get(signal)
  if (actions === undefined) {
    const made = new Set<() => void>()
    actions = made
    listening.set(signal, made)
    signal.addEventListener(
      'abort',
      () => {
        for (const each of made) each()
      },
      { once: true },
    )
  }
  actions.add(action)
  return () => void actions.delete(action)
}

/** As the promise, but a while after the signal has aborted it rejects with the reason: the call may go on unseen. */
function unlessGivenUp<T>(promise: Promise<T>, signal: AbortSignal | undefined, afterMs: number): Promise<T> {
  if (signal === undefined) return promise
  return new Promise((resolve, reject) => {
    let timer: NodeJS.Timeout | undefined
    const onAbort = (): void => {
      timer = setTimeout(() => reject(abortReason(signal) as Error), afterMs)
    }
    const forget = signal.aborted ? undefined : onceAborted(signal, onAbort)
    if (forget === undefined) onAbort()
    const settle = (action: () => void): void => {
      forget?.()
      clearTimeout(timer)
      action()
    }
    promise.then(
      value => settle(() => resolve(value)),
      (error: unknown) => settle(() => reject(error as Error)),
    )
  })
}
