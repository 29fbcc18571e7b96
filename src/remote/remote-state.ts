/**
 * What a table's directory knows of the stores where it is published: the file REMOTE, JSON, replaced as a whole.
 *
 * It says which state of a published table this directory comes from. A copy that was left behind, or a disk that was set
 * back, is told by it from the table that may go on. docs/file-format.md, REMOTE.
 */
import { Buffer } from 'node:buffer'
import { describeValue } from '../base/describe-value.js'
import { corruption, diskError, hasCode } from '../base/errors.js'
import { REMOTE_NAME, REMOTE_TEMPORARY_NAME } from '../io/file-names.js'
import type { FileSystem } from '../io/file-system.js'
import { readFully, writeFully } from '../io/transfer.js'

const FORMAT = 1
const BYTES_MAX = 2 ** 20
/** Only the newest of the states whose outcome is unknown are kept. */
const PENDING_MAX = 1000

/** A published table that this directory is a state of. */
export interface KnownRemote {
  readonly lineage: string
  /** Where it was seen last. */
  readonly url: string
  /** The id under which this directory publishes. */
  readonly writer: string
  /** The nonce of the published state that this directory comes from; empty: of none that may be gone on with. */
  readonly published: string
  /** Nonces of states that were sent, and of which it is not known whether they were stored. */
  readonly pending: readonly string[]
}

/** Reads REMOTE. Rejects with `FLASHTABLE_CORRUPTION`, `_IO_ERROR`. */
export async function loadRemotes(fileSystem: FileSystem, directory: string): Promise<KnownRemote[]> {
  const path = `${directory}/${REMOTE_NAME}`
  try {
    const file = await fileSystem.open(path, 'read')
    try {
      const bytes = new Uint8Array(Math.min(await file.size(), BYTES_MAX))
      return parse(bytes.subarray(0, await readFully(file, bytes, 0)), path)
    } finally {
      await file.close().catch(() => {})
    }
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return []
    throw diskError(error, `cannot read ${path}`)
  }
}

/**
 * Replaces what is known of this published table, and forgets another one at the same address.
 * Durable. Rejects with `FLASHTABLE_DISK_FULL`, `_IO_ERROR`. Crash: the old file or the new one is there.
 */
export async function saveRemote(
  fileSystem: FileSystem,
  directory: string,
  given: KnownRemote,
): Promise<void> {
  const known = { ...given, pending: given.pending.slice(-PENDING_MAX) }
  const others = (await loadRemotes(fileSystem, directory)).filter(
    ({ lineage, url }) => lineage !== known.lineage && url !== known.url,
  )
  const temporary = `${directory}/${REMOTE_TEMPORARY_NAME}`
  try {
    await fileSystem.unlink(temporary).catch((error: unknown) => {
      if (!hasCode(error, 'ENOENT')) throw error
    })
    const file = await fileSystem.open(temporary, 'create')
    try {
      const text = `${JSON.stringify({ format: FORMAT, published: [...others, known] }, undefined, 2)}\n`
      await writeFully(file, Buffer.from(text), 0)
      await file.sync()
    } finally {
      await file.close()
    }
    await fileSystem.rename(temporary, `${directory}/${REMOTE_NAME}`)
    await fileSystem.syncDirectory(directory)
  } catch (error) {
    throw diskError(error, `cannot write ${directory}/${REMOTE_NAME}`)
  }
}

function parse(bytes: Uint8Array, path: string): KnownRemote[] {
  const text = Buffer.from(bytes).toString()
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (error) {
    throw corruption(path, 0, `JSON; ${ADVICE}`, describeValue(text.slice(0, 40)), error)
  }
  const { format, published } = (value ?? {}) as { format?: unknown; published?: unknown }
  if (format === FORMAT && Array.isArray(published) && published.every(isKnown)) return published
  throw corruption(path, 0, `what a publish has written; ${ADVICE}`, 'something else')
}

const ADVICE =
  'without the file this table can be published to a new place only, or restored from the old one'

function isKnown(value: unknown): value is KnownRemote {
  const { lineage, url, writer, published, pending } = (value ?? {}) as Partial<KnownRemote>
  const isText = [lineage, url, writer, published].every(id => typeof id === 'string')
  return isText && Array.isArray(pending) && pending.every(id => typeof id === 'string')
}
