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

/** One store. */
export interface KnownRemote {
  readonly lineage: string
  /** The id under which this directory publishes. */
  readonly writer: string
  /** The nonce of the published state that this directory comes from. */
  readonly published: string
  /** Nonces of states that were sent, and of which it is not known whether they were stored. */
  readonly pending: readonly string[]
}

/** By the address of the store. */
export type KnownRemotes = Readonly<Record<string, KnownRemote>>

/** Reads REMOTE. Rejects with `FLASHTABLE_CORRUPTION`, `_IO_ERROR`. */
export async function loadRemotes(fileSystem: FileSystem, directory: string): Promise<KnownRemotes> {
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
    if (hasCode(error, 'ENOENT')) return {}
    throw diskError(error, `cannot read ${path}`)
  }
}

/** Replaces REMOTE, durably. Rejects with `FLASHTABLE_DISK_FULL`, `_IO_ERROR`. Crash: the old one or the new one is there. */
export async function saveRemotes(
  fileSystem: FileSystem,
  directory: string,
  remotes: KnownRemotes,
): Promise<void> {
  const temporary = `${directory}/${REMOTE_TEMPORARY_NAME}`
  try {
    await fileSystem.unlink(temporary).catch((error: unknown) => {
      if (!hasCode(error, 'ENOENT')) throw error
    })
    const file = await fileSystem.open(temporary, 'create')
    try {
      const text = `${JSON.stringify({ format: FORMAT, stores: remotes }, undefined, 2)}\n`
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

function parse(bytes: Uint8Array, path: string): KnownRemotes {
  const text = Buffer.from(bytes).toString()
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (error) {
    throw corruption(path, 0, 'JSON', describeValue(text.slice(0, 40)), error)
  }
  const { format, stores } = (value ?? {}) as { format?: unknown; stores?: unknown }
  const isFine =
    format === FORMAT &&
    typeof stores === 'object' &&
    stores !== null &&
    Object.values<unknown>({ ...stores }).every(isKnown)
  if (!isFine)
    throw corruption(path, 0, 'what a publish has written; remove the file to publish anew', 'something else')
  return stores as KnownRemotes
}

function isKnown(value: unknown): boolean {
  const { lineage, writer, published, pending } = (value ?? {}) as Partial<KnownRemote>
  return [lineage, writer, published].every(id => typeof id === 'string') && Array.isArray(pending)
}
