/**
 * The port to an object store: where tables are published. docs/internals.md, Object stores.
 *
 * It knows two kinds of objects. A *whole* object is written once, under a key that was never used before, and never
 * changed. A *pointer* is a small object that is only ever replaced by {@link ObjectStore.swap}: if it is still the version
 * that the caller has seen. Everything that must not be done twice hangs on a swap. Keys of whole objects have a `/` in
 * them, those of pointers have none.
 *
 * What implements it keeps to this: a call either does what it says or rejects. An error without a code of ours counts as
 * `FLASHTABLE_UNAVAILABLE`: the store was not reached, or refused for now; the call may have been done. A swap is never
 * tried again by the store itself: an answer that was lost would turn success into `lost`. Anything else may be.
 */

/** A range of bytes: from the first on, up to `end`, which is not part of it. */
export interface ByteRange {
  readonly start: number
  readonly end: number
}

/** The content of a pointer. */
export interface PointerContent {
  readonly bytes: Uint8Array
  /** What {@link ObjectStore.swap} compares. */
  readonly version: string
}

/** What is stored as a whole object, read piece by piece. */
export interface ObjectSource {
  readonly bytes: number
  /** Fills `buffer` from `position` on. */
  read(position: number, buffer: Uint8Array): Promise<void>
}

/** An object in a list. */
export interface ObjectInfo {
  readonly key: string
  readonly bytes: number
}

export interface StoreCall {
  /** Ends the call; it rejects with `signal.reason`. One that takes no notice is given up after two seconds. */
  readonly signal?: AbortSignal | undefined
}

/** Which uploads to end. */
export interface UploadChoice {
  readonly which?: ((key: string) => boolean) | undefined
}

export interface ObjectStore {
  /** Names the place, and no other one, in messages and files. Contains no credentials. */
  readonly url: string
  /** A whole object, or exactly that range of it; `undefined` if there is none. */
  get(key: string, options?: StoreCall & { readonly range?: ByteRange }): Promise<Uint8Array | undefined>
  /** Stores a whole object. Durable when it resolves. Requires: the key is new. */
  put(key: string, source: ObjectSource, options?: StoreCall): Promise<void>
  /** The newest content of a pointer: nothing older than what the last finished swap has stored. */
  load(key: string, options?: StoreCall): Promise<PointerContent | undefined>
  /**
   * Replaces a pointer if it still is version `expected`, or creates it if there is none and `expected` is `undefined`.
   * Resolves to the new version, or to `undefined` if somebody else was first. At most 16 MiB. If it rejects, it may
   * have been done, or may be done later: load again.
   */
  swap(
    key: string,
    bytes: Uint8Array,
    expected: string | undefined,
    options?: StoreCall,
  ): Promise<string | undefined>
  /** The whole objects whose keys begin with `prefix`, in the order of keys. */
  list(prefix: string, options?: StoreCall): AsyncIterable<ObjectInfo>
  /** Deletes a whole object, or a pointer that nobody uses any more; does nothing if there is none. */
  delete(key: string, options?: StoreCall): Promise<void>
  /**
   * Ends uploads that were begun below the prefix and never finished, and frees what they take. `which`: only those for
   * whose keys it answers true. Where uploads have names of their own, it is asked for a name in the same folder.
   */
  abortUploads(prefix: string, options?: StoreCall & UploadChoice): Promise<void>
  /** The store's own time, in whole milliseconds since 1970: the clocks of machines may differ. */
  now(options?: StoreCall): Promise<number>
  /**
   * The store at a path below, such as `p/0a`: it has keys and pointers of its own, and shares the connections of this one.
   * Closing it leaves them open. Lists of this store have its objects, by their whole keys; whether they have what it keeps of
   * its pointers is open. Throws with `FLASHTABLE_INVALID_OPTION`: names of the path have letters, digits, `-` and `_`, and
   * the first is not `e` and digits, which is where a table has its files.
   */
  below(path: string): ObjectStore
  /** Releases connections. */
  close(): Promise<void>
}

/** Bytes in memory as a source. */
export function sourceOf(content: Uint8Array): ObjectSource {
  return {
    bytes: content.byteLength,
    read(position, buffer) {
      buffer.set(content.subarray(position, position + buffer.byteLength))
      return Promise.resolve()
    },
  }
}
