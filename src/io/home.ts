/**
 * The directory of an open table: the one that was opened, not what its path leads to now.
 *
 * While the table is open, others may remove the directory and make it again, move it, replace it by a copy, hide it by
 * a mount, or change a symbolic link to it; or another writer may get in because somebody has deleted LOCK. So before
 * anything is created, replaced, renamed or removed by path, three things are checked: the path still leads to the held
 * directory; its MANIFEST is the one that was installed last; LOCK is not somebody else's. If one does not hold, the
 * table has moved, for good: {@link Home.check} tells the table and throws, and nothing is touched.
 *
 * Between the check and the call the directory could still be replaced: Node has no calls relative to a held directory.
 * docs/durability.md, The directory.
 */
import { FlashTableError, hasCode } from '../base/errors.js'
import { LOCK_NAME, LOCK_RECORD_NAME, MANIFEST_NAME } from './file-names.js'
import { isSameStamp, type FileSystem, type DirectoryHandle, type Stamp } from './file-system.js'
import { guardedFileSystem } from './guarded-file-system.js'

/** A small file, MANIFEST or LOCK, as it was. */
interface Known {
  stamp: Stamp
  readonly digest: string
}

export class Home {
  readonly directory: string
  /** Checks before each call by path that changes something in the directory, or opens a file in it. */
  readonly fileSystem: FileSystem
  readonly #inner: FileSystem
  readonly #held: DirectoryHandle
  /** The directory's identity, for threads, which check for themselves. */
  readonly identity: string
  readonly #onMoved: (error: FlashTableError) => void
  /** What MANIFEST may be, `undefined` for no file: while it is replaced, the old one and the new one. Empty: anything. */
  #manifests: readonly (Known | undefined)[] = []
  /** Counts changes of `#manifests`. */
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

  /** Holds the directory until `close`. `onMoved`: called once, before anybody else knows. Requires: it exists. */
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
   * Throws `FLASHTABLE_MOVED`, from then on always, if the directory is not what it was; an error of the file system if
   * that cannot be found out.
   */
  async check(): Promise<void> {
    if (this.#moved !== undefined) throw this.#moved
    for (;;) {
      const generation = this.#generation
      const reason = await this.#difference()
      if (reason === undefined) return
      // If a manifest was installed meanwhile, it rightly differs: look again.
      if (generation === this.#generation) throw this.#latch(reason)
    }
  }

  /** Throws `FLASHTABLE_MOVED` if that is the cause of another failure. */
  async checkAfter(failure: unknown): Promise<void> {
    await this.check().catch((reason: unknown) => {
      // If the check fails for another reason, the failure itself tells more.
      if (hasCode(reason, 'FLASHTABLE_MOVED') && reason !== failure) throw reason
    })
  }

  /** Releases the directory. Idempotent. */
  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    // It was only read.
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
        : `its ${MANIFEST_NAME} is not the one that this writer installed`
    }
    // If LOCK is gone or ours, nobody else writes.
    const isOurs = await this.#isOneOf([undefined, this.#lock], LOCK_NAME, lock)
    return isOurs ? undefined : 'another writer has its lock'
  }

  /** Compares the stamp; if it differs (the file was touched, or the file system's stamps do not last), the content. */
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

  /** LOCK may be a directory: then its record counts. */
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
