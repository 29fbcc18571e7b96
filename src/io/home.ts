/**
 * The directory of an open table: the one that was opened, not whatever its path leads to by now.
 *
 * It may be removed and made anew, moved, replaced by a copy, hidden by a mount, or its symbolic link may lead elsewhere,
 * all by others while the table is open; or another writer may have got in, as somebody has deleted LOCK. So before
 * anything is created, replaced, renamed or removed by path, three things are looked at: the path still leads to the
 * directory that is held; MANIFEST in it is the one that was installed last; LOCK is nobody else's. If not, the table
 * has moved, for good: {@link Home.check} tells the table and throws, and nothing is touched.
 *
 * Between the look and the call there is a moment in which the directory could still be exchanged: Node has no calls
 * relative to a held directory. docs/durability.md, The directory.
 */
import { FlashTableError, hasCode } from '../base/errors.js'
import { LOCK_NAME, LOCK_RECORD_NAME, MANIFEST_NAME } from './file-names.js'
import { isSameStamp, type FileSystem, type DirectoryHandle, type Stamp } from './file-system.js'
import { guardedFileSystem } from './guarded-file-system.js'

/** A small file as it was: MANIFEST or LOCK. */
interface Known {
  stamp: Stamp
  readonly digest: string
}

export class Home {
  readonly directory: string
  /** Looks before each call by path that changes something in the directory, or opens a file in it. */
  readonly fileSystem: FileSystem
  readonly #inner: FileSystem
  readonly #held: DirectoryHandle
  /** Of the directory: for threads, which look for themselves. */
  readonly identity: string
  readonly #onMoved: (error: FlashTableError) => void
  /** What MANIFEST may be, `undefined` for no file: while it is replaced, the old one and the new one. Empty: anything. */
  #manifests: readonly (Known | undefined)[] = []
  /** Counts changes of that. */
  #generation = 0
  #lock: Known | undefined
  #moved: FlashTableError | undefined
  #closed = false

  private constructor(
    inner: FileSystem,
    directory: string,
    held: DirectoryHandle,
    identity: string,
    onMoved: (error: FlashTableError) => void,
  ) {
    this.directory = directory
    this.#inner = inner
    this.#held = held
    this.identity = identity
    this.#onMoved = onMoved
    this.fileSystem = guardedFileSystem(inner, {
      directory,
      held,
      check: () => this.check(),
      replaceManifest: (temporary, rename) => this.#replaceManifest(temporary, rename),
    })
  }

  /** Holds the directory until `close`. `onMoved`: told once, before anybody else is. Requires: it exists. */
  static async hold(
    fileSystem: FileSystem,
    directory: string,
    onMoved: (error: FlashTableError) => void,
  ): Promise<Home> {
    const held = await fileSystem.openDirectory(directory)
    try {
      return new Home(fileSystem, directory, held, await held.identity(), onMoved)
    } catch (error) {
      await held.close().catch(() => {})
      throw error
    }
  }

  get moved(): boolean {
    return this.#moved !== undefined
  }

  /** Whether the path still leads to it. */
  async isThere(): Promise<boolean> {
    return (await this.#inner.stamp(this.directory))?.identity === this.identity
  }

  /** From now on MANIFEST and LOCK must stay what they are. Requires: the lock is ours. */
  async settle(): Promise<void> {
    this.#lock = await this.#known(LOCK_NAME)
    this.#manifests = [await this.#known(MANIFEST_NAME)]
    await this.check()
  }

  /**
   * Throws `FLASHTABLE_MOVED` where the directory is not what it was, now and for ever; an error of the file system
   * where that cannot be known.
   */
  async check(): Promise<void> {
    if (this.#moved !== undefined) throw this.#moved
    for (;;) {
      const generation = this.#generation
      const reason = await this.#difference()
      // A manifest that was installed meanwhile is another one, and right.
      if (reason === undefined) return
      if (generation === this.#generation) throw this.#latch(reason)
    }
  }

  /** Throws `FLASHTABLE_MOVED` if that is the cause of another failure. */
  async checkAfter(failure: unknown): Promise<void> {
    await this.check().catch((reason: unknown) => {
      // Where nothing can be known now, the failure itself tells more.
      if (hasCode(reason, 'FLASHTABLE_MOVED') && reason !== failure) throw reason
    })
  }

  /** Releases the directory. Idempotent. */
  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    // It was only looked at.
    await this.#held.close().catch(() => {})
  }

  /** What is wrong, if anything is. */
  async #difference(): Promise<string | undefined> {
    const [there, manifest, lock] = await Promise.all([
      this.#inner.stamp(this.directory),
      this.#inner.stamp(this.#path(MANIFEST_NAME)),
      this.#inner.stamp(this.#path(LOCK_NAME)),
    ])
    if (there === undefined) return 'it is gone, moved or removed'
    if (there.identity !== this.identity) return 'another directory has taken its place'
    if (this.#manifests.length === 0) return undefined
    if (!(await this.#isOneOf(this.#manifests, MANIFEST_NAME, manifest))) {
      return manifest === undefined
        ? `its ${MANIFEST_NAME} is gone`
        : `its ${MANIFEST_NAME} is not the one that this writer has installed`
    }
    // Without LOCK, or with one that is ours, nobody else writes.
    const isOurs = await this.#isOneOf([undefined, this.#lock], LOCK_NAME, lock)
    return isOurs ? undefined : 'another writer has got its lock'
  }

  /** By its stamp; where that is another one (it was touched, or the file system has none that last), by its content. */
  async #isOneOf(
    known: readonly (Known | undefined)[],
    name: string,
    stamp: Stamp | undefined,
  ): Promise<boolean> {
    if (stamp === undefined) return known.includes(undefined)
    if (known.some(each => isSameStamp(each?.stamp, stamp))) return true
    if (known.every(each => each?.stamp.bytes !== stamp.bytes)) return false
    const digest = await this.#digest(name)
    const found = known.find(each => each !== undefined && each.digest === digest)
    if (found !== undefined) found.stamp = stamp
    return found !== undefined
  }

  async #replaceManifest(temporary: string, rename: () => Promise<void>): Promise<void> {
    const next = await this.#known(temporary)
    this.#expect([...this.#manifests, next])
    await rename()
    // After a failure it may be either of them.
    this.#expect([next])
  }

  #expect(manifests: readonly (Known | undefined)[]): void {
    this.#manifests = manifests
    this.#generation++
  }

  async #known(name: string): Promise<Known | undefined> {
    const path = this.#path(name)
    const stamp = await this.#inner.stamp(path)
    const digest = stamp && (await this.#digest(name))
    return digest === undefined ? undefined : { stamp: stamp!, digest }
  }

  #latch(reason: string): FlashTableError {
    if (this.#moved === undefined) {
      this.#moved = movedError(this.directory, reason)
      this.#onMoved(this.#moved)
    }
    return this.#moved
  }

  /** Of LOCK, which may be a directory, its record is what counts. */
  async #digest(name: string): Promise<string | undefined> {
    try {
      return await this.#inner.digest(this.#path(name))
    } catch (error) {
      if (name !== LOCK_NAME || !hasCode(error, 'EISDIR')) throw error
      return this.#inner.digest(this.#path(`${name}/${LOCK_RECORD_NAME}`))
    }
  }

  #path(name: string): string {
    return `${this.directory}/${name}`
  }
}

export function movedError(directory: string, reason: string): FlashTableError {
  return new FlashTableError(
    'FLASHTABLE_MOVED',
    `${directory} is no longer the table that was opened: ${reason}. ` +
      'Nothing in it was touched; close this table, and open again what is there now',
  )
}
