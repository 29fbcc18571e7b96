/**
 * What must hold of a published table after every call of its store: invariants I1 to I6 of docs/durability.md.
 *
 * All of it is judged from outside, by what is stored, by whom, and by what each machine had in its table.
 */
import { epochOfKey, type RemoteManifest, type RemoteVersion } from '../../../src/remote/remote-manifest.js'
import type { SimulatedFileSystem } from '../../support/simulated-file-system.js'
import type { Observer, Stored } from './gated-store.js'
import { PAGE_BYTES, read, tagsOf } from './small-table.js'

/** One call of `publish`. */
export interface Request {
  readonly takeOver: boolean
}

/** A life of a program: what it has, by which its calls are judged. */
export interface Caller {
  readonly name: string
  readonly lineage?: object | undefined
  /** Of a writer: its disk, and what its table has sealed. A collection has none. */
  readonly disk?: SimulatedFileSystem | undefined
  readonly tags?: (() => readonly string[]) | undefined
  /** What its newest publish was asked for. */
  readonly request?: (() => Request | undefined) | undefined
}

const POINTER = 'MANIFEST'

export class Invariants {
  /** The newest manifest, as it is stored; `undefined`: none yet. */
  remote: RemoteManifest | undefined
  /** The tags of each version that ever was, in order. */
  readonly histories = new Map<number, string>()
  /** Who has made the last state of a writer. */
  lastWriter: Caller | undefined
  readonly #stored: Stored
  readonly #used = new Map<string, Uint8Array>()
  readonly #named = new Set<string>()
  readonly #dropped = new Map<string, Caller>()
  /** What a writer had, and was told, when it sent a state, by the nonce. */
  readonly #sent = new Map<string, { readonly tags: readonly string[]; readonly request: Request }>()
  /** Publishes that have made a version. A late one may do so when its program makes the next one. */
  readonly #done = new Set<Request>()
  readonly #owners = new Map<number, Caller>()
  #failure: Error | undefined
  /** The clock of the store may be set back: this is the latest time that it has told. */
  #latest = 0

  constructor(stored: Stored) {
    this.#stored = stored
  }

  /** Throws what has failed, even if a program has caught it meanwhile; and what is wrong now. */
  check(): void {
    this.#latest = Math.max(this.#latest, this.#stored.now)
    if (this.#failure !== undefined) throw this.#failure
    const { objects } = this.#stored
    for (const { key, entry } of this.remote?.files ?? []) {
      const bytes = objects.get(key)
      need(bytes?.byteLength === entry.pages * PAGE_BYTES, `I1: ${key} is named and not whole`)
      need(bytes === this.#used.get(key), `I1: ${key} is named and is another object`)
    }
  }

  /** The writer that has the newest epoch. */
  get owner(): Caller | undefined {
    return this.remote && this.#owners.get(this.remote.epoch)
  }

  observerOf(caller: Caller): Observer {
    const latched =
      <T extends unknown[]>(judge: (...given: T) => void) =>
      (...given: T): void => {
        try {
          judge(...given)
        } catch (error) {
          this.#failure ??= new Error(`${caller.name}: ${(error as Error).message}`, { cause: error })
        }
      }
    return {
      put: latched((key, bytes) => this.#put(key, bytes)),
      sendsSwap: latched((key, bytes) => key === POINTER && this.#sends(remoteIn(bytes), caller)),
      swapped: latched((key, bytes) => key === POINTER && this.#swapped(remoteIn(bytes), caller)),
      deletes: latched(key => this.#deletes(key, caller)),
    }
  }

  #put(key: string, bytes: Uint8Array): void {
    const before = this.#used.get(key)
    // The twin of a put that was sent again is the same bytes.
    need(before === undefined || Buffer.compare(before, bytes) === 0, `I2: ${key} is written again`)
    if (before === undefined) this.#used.set(key, bytes)
    else this.#stored.objects.set(key, before)
  }

  /** I4: what is sent as a version is on the device by then. A power cut at this moment shows it. */
  #sends(remote: RemoteManifest, { disk, tags, request }: Caller): void {
    const newest = remote.versions.at(-1)!
    if (disk === undefined || tags === undefined) return
    this.#sent.set(remote.nonce, { tags: tags(), request: request!()! })
    if (this.histories.has(newest.version)) return
    const left = read(disk.crashState(newest.sequence))?.files.flatMap(({ tags }) => tags) ?? []
    need(left.length >= newest.sequence, `I4: version ${newest.version} is ahead of the device`)
  }

  #swapped(remote: RemoteManifest, caller: Caller): void {
    const last = this.remote
    this.remote = remote
    const newest = remote.versions.at(-1)!
    const before = last?.versions.at(-1)
    this.#checkOwner(last, remote, caller)
    if (last === undefined || before === undefined) {
      need(remote.parent === '', 'I3: the first state has a parent')
    } else {
      need(remote.parent === last.nonce, 'I3: a state was skipped')
      need(remote.nonce !== last.nonce, 'I3: a nonce was used again')
      need(remote.epoch === last.epoch || remote.epoch === last.epoch + 1, 'I3: the epoch')
      need(remote.lineage === last.lineage, 'I3: another table')
      need(newest.sequence >= before.sequence && newest.at >= before.at, 'I3: sequence or time went back')
      need(newest.version === before.version || newest.version === before.version + 1, 'I3: the version')
    }
    need(newest.at <= this.#latest, 'I3: a version of a time that has not come')
    this.#checkNames(last, remote, caller)
    this.#checkVersions(remote, newest, before)
    if (last !== undefined) this.#checkForgotten(last, remote)
  }

  /** Only the writer that took the epoch changes what is published; a collection may forget. */
  #checkOwner(last: RemoteManifest | undefined, remote: RemoteManifest, caller: Caller): void {
    const isWriter = remote.published === remote.nonce
    if (!isWriter) {
      const same = (a: RemoteManifest): string =>
        JSON.stringify([a.published, a.epoch, a.writer, a.versions.at(-1), a.retentionMs])
      need(last !== undefined && same(last) === same(remote), 'I3: a collection changed what is published')
      return
    }
    if (last !== undefined && last.writer.id !== remote.writer.id)
      need(this.#sent.get(remote.nonce)!.request.takeOver, 'I3: a writer was replaced without being told to')
    if (remote.epoch !== last?.epoch) this.#owners.set(remote.epoch, caller)
    need(this.#owners.get(remote.epoch) === caller, `I3: two writers have epoch ${remote.epoch}`)
    this.lastWriter = caller
  }

  #checkNames(last: RemoteManifest | undefined, remote: RemoteManifest, caller: Caller): void {
    const named = new Set(remote.files.map(({ key }) => key))
    for (const key of named) {
      need(this.#used.has(key), `I1: ${key} was never put`)
      need(!this.#dropped.has(key), `I2: ${key} is named again`)
      this.#named.add(key)
    }
    for (const { key } of last?.files ?? []) if (!named.has(key)) this.#dropped.set(key, caller)
  }

  /** I6: each version is whole, the same as ever, and goes on from the one before. */
  #checkVersions(remote: RemoteManifest, newest: RemoteVersion, before: RemoteVersion | undefined): void {
    for (const { version, sequence } of remote.versions) {
      const found = this.#tagsOf(remote, version)
      need(found.length === sequence, `I6: version ${version} has ${found.length} tags of ${sequence}`)
      const history = found.join(' ')
      const known = this.histories.get(version)
      if (known !== undefined) {
        need(known === history, `I6: version ${version} has changed`)
        continue
      }
      need(version === newest.version, `I6: version ${version} is new and not the newest`)
      const had = this.#sent.get(remote.nonce)?.tags.slice(0, sequence).join(' ')
      need(had === history, `I6: version ${version} is not what its writer had`)
      const older = before === undefined ? '' : this.histories.get(before.version)!
      need(history.startsWith(older), `I6: version ${version} does not go on from the one before`)
      this.histories.set(version, history)
      const { request } = this.#sent.get(remote.nonce)!
      need(!this.#done.has(request), 'one publish has made two versions')
      this.#done.add(request)
    }
  }

  #tagsOf({ files }: RemoteManifest, version: number): string[] {
    return files
      .filter(({ since, until = Infinity }) => since <= version && version < until)
      .toSorted((a, b) => a.entry.firstSequence - b.entry.firstSequence)
      .flatMap(({ key, entry }) => {
        const tags = tagsOf(this.#used.get(key)!.subarray(0, PAGE_BYTES / 2), entry)
        need(tags !== undefined, `I6: ${key} is another file`)
        return tags
      })
  }

  /** I6: a version stays as long as it has a name, and for the retention after the next one. */
  #checkForgotten(last: RemoteManifest, remote: RemoteManifest): void {
    const now = this.#latest
    const isNew = remote.versions.at(-1)!.version !== last.versions.at(-1)!.version
    for (const { name, version, expiresAt = Infinity } of last.names) {
      const moved = remote.names.find(other => other.name === name)
      const isMoved = isNew && moved?.version === remote.versions.at(-1)!.version
      need(moved?.version === version || isMoved || expiresAt <= now, `I6: the name ${name} was lost`)
    }
    const names = new Set(remote.names.map(({ version }) => version))
    const kept = new Map(remote.versions.map(version => [version.version, version]))
    for (const { version, supersededAt } of last.versions) {
      const other = kept.get(version)
      if (supersededAt !== undefined && other !== undefined)
        need(other.supersededAt === supersededAt, `I6: the end of version ${version} has changed`)
      if (other !== undefined) continue
      need(!names.has(version), `I6: version ${version} has a name and was forgotten`)
      const until = supersededAt ?? Infinity
      const retention = remote.retentionMs
      const isOver = isNew ? until + retention <= remote.versions.at(-1)!.at : until + retention <= now
      // With a retention of 0 the publish that follows it may forget it.
      need(isOver || (isNew && retention === 0), `I6: version ${version} was forgotten too early`)
    }
  }

  /** I5: what is deleted was dropped by the same caller, or is of an epoch that is over and nothing names it. */
  #deletes(key: string, caller: Caller): void {
    if (!key.includes('/')) {
      need(key !== POINTER, 'I5: the manifest is deleted')
      return
    }
    const { remote } = this
    need(remote !== undefined, `I5: ${key} is deleted before anything is published`)
    need(!remote.files.some(file => file.key === key), `I5: ${key} is deleted while it is named`)
    const isOver = epochOfKey(key)! < remote.epoch
    need(isOver || this.#dropped.get(key) === caller, `I5: ${key} is not ${caller.name}'s to delete`)
  }
}

function remoteIn(bytes: Uint8Array): RemoteManifest {
  const text = Buffer.from(bytes).toString()
  return JSON.parse(text.slice(text.indexOf('\n'))) as RemoteManifest
}

function need(condition: boolean, what: string): asserts condition {
  if (!condition) throw new Error(what)
}
