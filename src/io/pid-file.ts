/**
 * The pid file: names the writer of a table. If that writer is dead, exactly one contender gets the file.
 *
 * LOCK holds the record of its holder. A record is written to a private file first, and gets a name that others read
 * only by `link` or `rename`: nobody ever sees half of one. All names below are in the table's directory.
 *
 * To take it:
 *   1. If there is no LOCK, `link` your record to LOCK. `link` fails if the name exists, so one contender wins.
 *   2. If LOCK names a dead holder D, `link` your record to the claim on D, LOCK.<digest of D's file>.next. One wins,
 *      and only it may replace D. If A has already claimed D and is alive, A is about to have the lock. If A is dead,
 *      go on with the claim on A, and so on: holder and claimants form a chain that begins with LOCK, in which all but
 *      perhaps the last are dead.
 *   3. After making the last claim, read the chain again from LOCK on. If it is unchanged, `rename` your record to
 *      LOCK. If not, withdraw the claim and begin again.
 *
 * Why two contenders cannot both complete step 3:
 *   - Each record has a random token, so LOCK never names D again once it has named another holder.
 *   - A claim is removed only by its claimant, who withdraws it, and by a new holder before it does anything else: so
 *     by no holder while LOCK names the dead D.
 *   - Suppose that B finds the chain unchanged: D, A's claim on D, B's own claim on A. A was dead before B made its
 *     claim, so A withdraws nothing any more. So nobody else can make the claim on D (it is A's) or on A (it is B's):
 *     only B is at the end of the chain that begins with LOCK, until it renames.
 *   - A late contender may claim D after D was replaced and the claims were removed. In step 3 it finds another holder
 *     in LOCK, and withdraws its claim, which means nothing any more.
 * This holds as long as "dead" is true and final: a dead process has no calls under way.
 *
 * Where there are no hard links (FAT, exFAT, some of FUSE), a record is published as a directory, LOCK/record. It is
 * made under a private name and moved by `rename`, which fails if the target is a file or a directory that is not
 * empty. So it cannot replace D: in step 3 B first puts D aside, by `rename` to another name, and then takes LOCK as in
 * step 1. If another contender takes LOCK in between, B has lost. By the same argument, only B may put D aside while
 * LOCK names D. Nobody takes such a directory apart under a name that others read: a claim or LOCK is put aside whole.
 * Contenders with and without hard links exclude each other, because the names are the same.
 *
 * On disk: nothing here is synced. After a power cut all holders are dead, because their boot is over. A torn record
 * can only come from a power cut, so its writer counts as dead. The digest of a link covers its name and its content:
 * no two links have the same digest, even if a power cut has left the same bytes in both. docs/durability.md, Locking.
 */
import { createHash } from 'node:crypto'
import { join } from 'node:path'
import { TextDecoder, TextEncoder } from 'node:util'
import { codeOf, hasCode } from '../base/errors.js'
import {
  LOCK_NAME,
  LOCK_RECORD_NAME,
  lockAsideName,
  lockClaimName,
  lockDirectoryName,
  lockTemporaryName,
  parseLockHelper,
} from './file-names.js'
import { LOCK_FILE_MODE } from '../base/file-mode.js'
import { cannotLink, type FileHandle, type FileSystem } from './file-system.js'
import type { ProcessIdentity } from './process-identity.js'
import { readFully, writeFully } from './transfer.js'

/** Who holds the lock. On disk: JSON; later versions may add fields, but never take one of these away. */
export interface LockRecord extends ProcessIdentity {
  /** 32 random hex digits, for one handle of one process. */
  readonly token: string
  /** Whether the holder has the flock as well. */
  readonly flock: boolean
  /** The directory as the holder sees it, as {@link Stamp.identity}. */
  readonly place?: string
}

/** The content of a file or directory that stands for a record. */
interface Content {
  readonly bytes: Uint8Array
  readonly isDirectory: boolean
}

export type IsAlive = (record: LockRecord) => Promise<boolean>

/** A link of the chain: a file's name, the digest of both name and content, and the record in it unless it is torn. */
interface ChainLink {
  readonly name: string
  readonly digest: string
  readonly record: LockRecord | undefined
  readonly isDirectory: boolean
}

/** A chain of dead processes, and the name of a claim on the last one; or the living one at its end. */
type Chain =
  | { readonly links: readonly ChainLink[]; readonly next: string; readonly holder?: undefined }
  | { readonly holder: LockRecord }

const RECORD_BYTES_LIMIT = 4096
/** Each time another directory was found. */
const READS_LIMIT = 1000
/** Each link is a process that died within the few calls of step 3. */
const CHAIN_LIMIT = 1000
/** In each failed attempt another contender has got further. */
const ATTEMPTS_LIMIT = 1000

export class PidFile {
  readonly #fileSystem: FileSystem
  readonly #directory: string
  readonly #record: LockRecord
  /** As far as is known. */
  #hasLinks = true

  constructor(fileSystem: FileSystem, directory: string, record: LockRecord) {
    this.#fileSystem = fileSystem
    this.#directory = directory
    this.#record = record
  }

  /**
   * Takes the lock, or resolves to the living holder. On an error the lock is not taken, and nothing of ours is left.
   */
  async take(isAlive: IsAlive): Promise<LockRecord | undefined> {
    try {
      for (let attempt = 0; attempt < ATTEMPTS_LIMIT; attempt++) {
        const chain = await this.#readChain(isAlive)
        if (chain.holder !== undefined) return chain.holder
        if (await this.#takeFrom(chain.links, chain.next)) {
          // What could not be removed means nothing and blocks nobody.
          await this.#sweep(isAlive).catch(() => {})
          return undefined
        }
      }
    } catch (error) {
      await this.release().catch(() => {})
      throw error
    } finally {
      await this.#remove(lockTemporaryName(this.#record.token)).catch(() => {})
      if (!this.#hasLinks) await this.#takeApart(lockDirectoryName(this.#record.token)).catch(() => {})
    }
    throw new Error(
      `${join(this.#directory, LOCK_NAME)}: too many writers want it at once, or the files beside it are inconsistent`,
    )
  }

  /** The living holder, if there is one. */
  async holder(isAlive: IsAlive): Promise<LockRecord | undefined> {
    return (await this.#readChain(isAlive)).holder
  }

  /** Releases the lock if it is still ours: somebody may have deleted LOCK by hand and let another writer in. */
  async release(): Promise<void> {
    const found = await this.#read(LOCK_NAME)
    if (found?.record?.token === this.#record.token) await this.#remove(LOCK_NAME)
  }

  async #readChain(isAlive: IsAlive): Promise<Chain> {
    const links: ChainLink[] = []
    let name = LOCK_NAME
    while (links.length < CHAIN_LIMIT) {
      const link = await this.#read(name)
      if (link === undefined) return { links, next: name }
      if (link.record !== undefined && (await isAlive(link.record))) return { holder: link.record }
      links.push(link)
      name = lockClaimName(link.digest)
    }
    throw new Error(
      `${join(this.#directory, LOCK_NAME)}: the files beside it form no chain; delete all of ${LOCK_NAME}*`,
    )
  }

  /** Steps 1 to 3. False: another contender was faster. */
  async #takeFrom(dead: readonly ChainLink[], next: string): Promise<boolean> {
    try {
      if (!(await this.#publish(next))) return false
    } catch (error) {
      await this.#remove(next, this.#record.token).catch(() => {})
      throw error
    }
    if (dead.length === 0) return true
    try {
      const replaced = (await this.#stillThere(dead)) && (await this.#replace(dead[0]!))
      if (!replaced) await this.#remove(next)
      return replaced
    } catch (error) {
      await this.#remove(next).catch(() => {})
      throw error
    }
  }

  /** Gives our record a name that others read. False: the name is taken, or a holder has removed our file. */
  async #publish(name: string): Promise<boolean> {
    if (this.#hasLinks) {
      const temporary = this.#path(lockTemporaryName(this.#record.token))
      await this.#writeRecord(temporary)
      try {
        await this.#fileSystem.link(temporary, this.#path(name))
        return true
      } catch (error) {
        if (hasCode(error, 'EEXIST') || hasCode(error, 'ENOENT')) return false
        if (!cannotLink(error)) throw error
        this.#hasLinks = false
      }
    }
    return this.#publishDirectory(name)
  }

  async #publishDirectory(name: string): Promise<boolean> {
    const directory = this.#path(lockDirectoryName(this.#record.token))
    await this.#fileSystem.makeDirectory(directory, LOCK_FILE_MODE)
    try {
      await this.#writeRecord(join(directory, LOCK_RECORD_NAME))
      await this.#fileSystem.rename(directory, this.#path(name))
      return true
    } catch (error) {
      const code = codeOf(error)
      if (code === 'ENOTEMPTY' || code === 'EEXIST' || code === 'ENOTDIR' || code === 'ENOENT') return false
      // Some FUSE file systems report nothing more exact.
      if (code === 'EPERM' && (await this.#fileSystem.info(this.#path(name))) !== undefined) return false
      throw error
    }
  }

  /** Step 3. Requires: only we may. */
  async #replace({ isDirectory }: ChainLink): Promise<boolean> {
    if (this.#hasLinks && !isDirectory) {
      const temporary = this.#path(lockTemporaryName(this.#record.token))
      await this.#fileSystem.rename(temporary, this.#path(LOCK_NAME))
      return true
    }
    await this.#putAside(LOCK_NAME)
    return this.#publish(LOCK_NAME)
  }

  async #stillThere(links: readonly ChainLink[]): Promise<boolean> {
    for (const { name, digest } of links) {
      if ((await this.#read(name))?.digest !== digest) return false
    }
    return true
  }

  /** Writes our record to a private file; it may be there from an earlier attempt. */
  async #writeRecord(path: string): Promise<void> {
    let file: FileHandle
    try {
      file = await this.#fileSystem.open(path, 'create', LOCK_FILE_MODE)
    } catch (error) {
      if (hasCode(error, 'EEXIST')) return
      throw error
    }
    try {
      await writeFully(file, new TextEncoder().encode(`${JSON.stringify(this.#record)}\n`), 0)
    } finally {
      await file.close()
    }
  }

  /**
   * Requires: we hold the lock. So claims mean nothing, and a temporary file belongs to a dead process or will be made
   * again.
   */
  async #sweep(isAlive: IsAlive): Promise<void> {
    for (const name of await this.#fileSystem.list(this.#directory)) {
      const kind = parseLockHelper(name)
      if (kind === undefined) continue
      const isOwn = kind === 'temporary' || kind === 'directory'
      const record = isOwn ? (await this.#read(name))?.record : undefined
      if (record === undefined || !(await isAlive(record))) await this.#remove(name)
    }
  }

  async #remove(name: string, token?: string): Promise<void> {
    if (token !== undefined && (await this.#read(name))?.record?.token !== token) return
    if (await this.#removeFile(name)) return
    await this.#takeApart(parseLockHelper(name) === 'aside' ? name : await this.#putAside(name))
  }

  /** False: it is a directory. */
  async #removeFile(name: string): Promise<boolean> {
    try {
      await this.#fileSystem.unlink(this.#path(name))
      return true
    } catch (error) {
      if (hasCode(error, 'ENOENT')) return true
      // EISDIR, or EPERM on some systems.
      if ((await this.#fileSystem.info(this.#path(name)))?.kind === 'directory') return false
      throw error
    }
  }

  /** Moves away a directory that others read, as a whole; resolves to its new name. */
  async #putAside(name: string): Promise<string> {
    const aside = lockAsideName(digestOf(name, new TextEncoder().encode(this.#record.token)))
    await this.#takeApart(aside)
    await this.#fileSystem.rename(this.#path(name), this.#path(aside))
    return aside
  }

  /** Requires: nobody else reads it. */
  async #takeApart(name: string): Promise<void> {
    if (await this.#removeFile(name)) return
    await this.#removeFile(join(name, LOCK_RECORD_NAME))
    await this.#fileSystem.removeDirectory(this.#path(name))
  }

  async #read(name: string): Promise<ChainLink | undefined> {
    for (let reads = 0; ; reads++) {
      const content = await this.#contentOf(this.#path(name)).catch(async (error: unknown) => {
        if (!hasCode(error, 'EISDIR')) throw error
        const inside = await this.#contentInside(name)
        if (inside === 'something else' || reads === READS_LIMIT) throw error
        return inside
      })
      if (content === undefined) return undefined
      if (content === 'changed') continue
      const { bytes, isDirectory } = content
      const record = bytes.length < RECORD_BYTES_LIMIT ? parseRecord(bytes) : undefined
      return { name, digest: digestOf(name, bytes), record, isDirectory }
    }
  }

  /** The content of a record that is a directory. An empty one is torn. */
  async #contentInside(name: string): Promise<Content | 'changed' | 'something else' | undefined> {
    const content = await this.#contentOf(join(this.#path(name), LOCK_RECORD_NAME)).catch(
      (error: unknown) => {
        if (hasCode(error, 'ENOTDIR')) return 'changed' as const
        throw error
      },
    )
    if (content === 'changed') return content
    if (content !== undefined) return { ...content, isDirectory: true }
    try {
      const names = await this.#fileSystem.list(this.#path(name))
      if (names.length === 0) return { bytes: new Uint8Array(0), isDirectory: true }
      return names.includes(LOCK_RECORD_NAME) ? 'changed' : 'something else'
    } catch (error) {
      if (hasCode(error, 'ENOENT')) return undefined
      if (hasCode(error, 'ENOTDIR')) return 'changed'
      throw error
    }
  }

  async #contentOf(path: string): Promise<Content | undefined> {
    let file: FileHandle
    try {
      file = await this.#fileSystem.open(path, 'read')
    } catch (error) {
      if (hasCode(error, 'ENOENT')) return undefined
      throw error
    }
    try {
      const buffer = new Uint8Array(RECORD_BYTES_LIMIT)
      return { bytes: buffer.subarray(0, await readFully(file, buffer, 0)), isDirectory: false }
    } finally {
      await file.close()
    }
  }

  #path(name: string): string {
    return join(this.#directory, name)
  }
}

/** `undefined` for a record that is torn. */
export function parseRecord(content: Uint8Array): LockRecord | undefined {
  let value: unknown
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(content))
  } catch {
    return undefined
  }
  if (typeof value !== 'object' || value === null) return undefined
  const { bootId, pidNamespace, pid, startTime, token, flock, place } = value as Partial<
    Record<keyof LockRecord, unknown>
  >
  if (typeof bootId !== 'string' || typeof pidNamespace !== 'string' || typeof startTime !== 'string')
    return undefined
  // A pid of 0 or less would mean a group of processes to kill(2).
  if (typeof pid !== 'number' || !Number.isSafeInteger(pid) || pid <= 0) return undefined
  if (typeof token !== 'string' || !/^[0-9a-f]{32}$/.test(token) || typeof flock !== 'boolean')
    return undefined
  const record = { bootId, pidNamespace, pid, startTime, token, flock }
  return typeof place === 'string' ? { ...record, place } : record
}

/** Identifies a link in the name of the claim on it. */
export function digestOf(name: string, content: Uint8Array): string {
  return createHash('sha256').update(`${name}\n`).update(content).digest('hex').slice(0, 32)
}
