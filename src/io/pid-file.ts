/**
 * The pid file: names the writer of a table, and passes from a dead one to exactly one of those who want it.
 *
 * LOCK holds the record of its holder. A record is written to a file of its own, and gets a name that others look at
 * by `link` or `rename` only: nobody ever sees half of one, and all names below are in the table's directory.
 *
 * To take it:
 *   1. There is no LOCK: `link` own record to LOCK. `link` fails where the name exists, so one wins.
 *   2. LOCK names a dead holder D: `link` own record to the claim on D, LOCK.<digest of D's file>.next. One wins, and
 *      it alone may replace D. Is there a claim already, by A: if A is alive, A is about to have the lock. If A is dead,
 *      go on with the claim on A, and so on: holder and claimants form a chain that begins with LOCK, in which all are
 *      dead, but for the last perhaps.
 *   3. Having made the last claim, read the chain once more from LOCK on. If it is as before, `rename` own record to
 *      LOCK. If not, take the claim back and begin again.
 *
 * Why two cannot both get through 3:
 *   - Each record has a random token, so LOCK never names D again once it has named another one.
 *   - A claim is removed only by its claimant, who takes it back, and by a holder before it does anything else: so by
 *     none while LOCK names the dead D.
 *   - Suppose that B finds the chain as before: D, the claim on D by A, the claim on A by B itself. A was dead before B
 *     made its claim, so A takes nothing back any more. So nobody else can make the claim on D (it is A's) or on A (it
 *     is B's): B alone is at the end of the chain that begins with LOCK, and stays so until it renames.
 *   - One who was late, and makes a claim on D after D was replaced and the claims were removed, finds another name in
 *     LOCK in 3, and takes back what means nothing any more.
 * It holds as long as "dead" is final, and true: a process that is dead has no more calls under way.
 *
 * On disk: nothing here is synced. After a power cut all holders are dead (their boot is over). A record that is torn
 * can only come from a power cut, so it counts as a dead one's. The digest of a link is over its name and its content,
 * whatever that is: no two links have the same one, not even where a power cut has left the same bytes in both.
 * docs/durability.md, Locking.
 */
import { createHash } from 'node:crypto'
import { join } from 'node:path'
import { TextDecoder, TextEncoder } from 'node:util'
import { hasCode } from '../errors.js'
import { LOCK_NAME, lockClaimName, lockTemporaryName, parseLockHelper } from './file-names.js'
import type { FileHandle, FileSystem } from './file-system.js'
import type { ProcessIdentity } from './process-identity.js'
import { readFully, writeFully } from './transfer.js'

/** Who holds the lock. On disk: JSON; later versions may add fields, but never take one of these away. */
export interface LockRecord extends ProcessIdentity {
  /** 32 random hex digits: one handle of one process. */
  readonly token: string
  /** Whether the holder has the flock as well. */
  readonly flock: boolean
}

export type IsAlive = (record: LockRecord) => Promise<boolean>

/** A link of the chain: a file's name, the digest of both name and content, and the record in it unless it is torn. */
interface ChainLink {
  readonly name: string
  readonly digest: string
  readonly record: LockRecord | undefined
}

/** A chain of the dead, and the name that a claim on the last of them has; or the living one at its end. */
type Chain =
  | { readonly links: readonly ChainLink[]; readonly next: string; readonly holder?: undefined }
  | { readonly holder: LockRecord }

const RECORD_BYTES_LIMIT = 4096
/** Each link is a process that died within the few calls of step 3. */
const CHAIN_LIMIT = 1000
/** Each attempt that fails is one in which another has got further. */
const ATTEMPTS_LIMIT = 1000

export class PidFile {
  readonly #fileSystem: FileSystem
  readonly #directory: string
  readonly #record: LockRecord

  constructor(fileSystem: FileSystem, directory: string, record: LockRecord) {
    this.#fileSystem = fileSystem
    this.#directory = directory
    this.#record = record
  }

  /** Takes the lock, or gives the living holder. On an error the lock is not taken, and nothing of ours is left. */
  async take(isAlive: IsAlive): Promise<LockRecord | undefined> {
    try {
      for (let attempt = 0; attempt < ATTEMPTS_LIMIT; attempt++) {
        const chain = await this.#readChain(isAlive)
        if (chain.holder !== undefined) return chain.holder
        if (await this.#takeFrom(chain.links, chain.next)) {
          // What could not be swept means nothing and blocks nobody.
          await this.#sweep(isAlive).catch(() => {})
          return undefined
        }
      }
    } catch (error) {
      await this.release().catch(() => {})
      throw error
    } finally {
      await this.#remove(lockTemporaryName(this.#record.token)).catch(() => {})
    }
    throw new Error(
      `${join(this.#directory, LOCK_NAME)}: too many want it at once, or the files beside it are in a tangle`,
    )
  }

  /** The living holder, if there is one. */
  async holder(isAlive: IsAlive): Promise<LockRecord | undefined> {
    return (await this.#readChain(isAlive)).holder
  }

  /** Gives the lock up, if it is still ours: one who has deleted LOCK by hand may have let another in. */
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

  /** Steps 1 to 3. False: another one was faster somewhere. */
  async #takeFrom(dead: readonly ChainLink[], next: string): Promise<boolean> {
    const temporary = this.#path(lockTemporaryName(this.#record.token))
    await this.#writeRecord()
    try {
      await this.#fileSystem.link(temporary, this.#path(next))
    } catch (error) {
      // ENOENT: a holder has swept our temporary file away, or the claims with it.
      if (hasCode(error, 'EEXIST') || hasCode(error, 'ENOENT')) return false
      await this.#remove(next, this.#record.token).catch(() => {})
      throw error
    }
    if (dead.length === 0) return true
    try {
      const same = await this.#stillThere(dead)
      if (same) await this.#fileSystem.rename(temporary, this.#path(LOCK_NAME))
      else await this.#remove(next)
      return same
    } catch (error) {
      await this.#remove(next).catch(() => {})
      throw error
    }
  }

  async #stillThere(links: readonly ChainLink[]): Promise<boolean> {
    for (const { name, digest } of links) {
      if ((await this.#read(name))?.digest !== digest) return false
    }
    return true
  }

  /** Our record in a file of its own; it may be there from the attempt before. */
  async #writeRecord(): Promise<void> {
    const path = this.#path(lockTemporaryName(this.#record.token))
    let file: FileHandle
    try {
      file = await this.#fileSystem.open(path, 'create')
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

  /** Requires: we hold the lock. So every claim means nothing, and a temporary file is a dead one's or will be made again. */
  async #sweep(isAlive: IsAlive): Promise<void> {
    for (const name of await this.#fileSystem.list(this.#directory)) {
      const helper = parseLockHelper(name)
      if (helper === undefined) continue
      const record = helper === 'temporary' ? (await this.#read(name))?.record : undefined
      if (record === undefined || !(await isAlive(record))) await this.#remove(name)
    }
  }

  async #remove(name: string, token?: string): Promise<void> {
    if (token !== undefined && (await this.#read(name))?.record?.token !== token) return
    try {
      await this.#fileSystem.unlink(this.#path(name))
    } catch (error) {
      if (!hasCode(error, 'ENOENT')) throw error
    }
  }

  async #read(name: string): Promise<ChainLink | undefined> {
    let file: FileHandle
    try {
      file = await this.#fileSystem.open(this.#path(name), 'read')
    } catch (error) {
      if (hasCode(error, 'ENOENT')) return undefined
      throw error
    }
    try {
      const buffer = new Uint8Array(RECORD_BYTES_LIMIT)
      const content = buffer.subarray(0, await readFully(file, buffer, 0))
      const record = content.length < buffer.length ? parseRecord(content) : undefined
      return { name, digest: digestOf(name, content), record }
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
  const { bootId, pidNamespace, pid, startTime, token, flock } = value as Partial<
    Record<keyof LockRecord, unknown>
  >
  if (typeof bootId !== 'string' || typeof pidNamespace !== 'string' || typeof startTime !== 'string')
    return undefined
  // A pid of 0 or less would mean a group of processes to kill(2).
  if (typeof pid !== 'number' || !Number.isSafeInteger(pid) || pid <= 0) return undefined
  if (typeof token !== 'string' || !/^[0-9a-f]{32}$/.test(token) || typeof flock !== 'boolean')
    return undefined
  return { bootId, pidNamespace, pid, startTime, token, flock }
}

/** What stands for a link in the name of the claim on it. */
export function digestOf(name: string, content: Uint8Array): string {
  return createHash('sha256').update(`${name}\n`).update(content).digest('hex').slice(0, 32)
}
