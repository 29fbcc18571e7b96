/**
 * The manifest on disk: loaded at an open, replaced as a whole at every change.
 *
 * The new one is written beside the old one, synced, and renamed over it; then the directory is synced. So there is
 * one at any time, the old or the new. docs/durability.md, Order of writes.
 */
import { corruption, diskError, hasCode, isPassing } from '../base/errors.js'
import type { FlashTableError } from '../base/errors.js'
import type { Poison } from '../base/poison.js'
import { MANIFEST_NAME, MANIFEST_TEMPORARY_NAME } from '../io/file-names.js'
import type { DirectoryHandle, FileHandle, FileSystem } from '../io/file-system.js'
import { readFully, writeFully } from '../io/transfer.js'
import { MANIFEST_BYTES_MAX, parseManifest, serializeManifest } from './manifest.js'
import type { Manifest } from './manifest.js'

/** A manifest, and the size of its file. */
export interface LoadedManifest {
  readonly manifest: Manifest
  readonly bytes: number
}

/**
 * Reads the manifest of the directory; `undefined` if there is none.
 *
 * Throws `FLASHTABLE_CORRUPTION` if it is damaged, `FLASHTABLE_UNSUPPORTED_FORMAT` if a later version of flashtable
 * wrote it, `FLASHTABLE_IO_ERROR` if it cannot be read.
 */
export async function loadManifest(
  fileSystem: FileSystem,
  directory: string,
): Promise<LoadedManifest | undefined> {
  const path = `${directory}/${MANIFEST_NAME}`
  let file: FileHandle
  try {
    file = await fileSystem.open(path, 'read')
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return undefined
    throw diskError(error, `cannot open ${path}`)
  }
  try {
    const bytes = await readFile(file, path)
    return { manifest: parseManifest(bytes, path), bytes: bytes.byteLength }
  } catch (error) {
    throw diskError(error, `cannot read ${path}`)
  } finally {
    // The file was only read: a failure loses nothing.
    await file.close().catch(() => {})
  }
}

async function readFile(file: FileHandle, path: string): Promise<Uint8Array> {
  const size = await file.size()
  if (size > MANIFEST_BYTES_MAX) {
    throw corruption(path, 0, `at most ${MANIFEST_BYTES_MAX} bytes`, `${size} bytes`)
  }
  const bytes = new Uint8Array(size)
  return bytes.subarray(0, await readFully(file, bytes, 0))
}

/**
 * Replaces the manifest of the directory. Resolves to the bytes written when the new one is durable. One install at a
 * time.
 *
 * Rejects with `FLASHTABLE_DISK_FULL`, or with `FLASHTABLE_IO_ERROR` if descriptors or memory are lacking: the old one
 * stays, and a later install may succeed. Every other failure is latched, `FLASHTABLE_POISONED`: it may be in doubt
 * which of the two a power cut leaves.
 *
 * Requires: all files that it names are synced, and so are their directory entries.
 *
 * Crash: the old one or the new one is there, and perhaps an orphan, the temporary file.
 */
export async function installManifest(
  fileSystem: FileSystem,
  directory: string,
  manifest: Manifest,
  poison: Poison,
): Promise<{ readonly bytes: number }> {
  poison.check()
  const bytes = serializeManifest(manifest)
  const temporary = `${directory}/${MANIFEST_TEMPORARY_NAME}`
  let opened: DirectoryHandle | undefined
  try {
    // Opened first: after the rename, a lack of descriptors must not keep the directory from being synced.
    opened = await fileSystem.openDirectory(directory)
    await writeTemporary(fileSystem, temporary, bytes)
  } catch (error) {
    await opened?.close().catch(() => {})
    throw await abandon(fileSystem, temporary, error, poison)
  }
  try {
    await replaceManifest(fileSystem, opened, temporary, poison)
  } finally {
    await opened.close().catch(() => {})
  }
  return { bytes: bytes.byteLength }
}

/** Renames the temporary file over the manifest, and syncs the directory. */
async function replaceManifest(
  fileSystem: FileSystem,
  directory: DirectoryHandle,
  temporary: string,
  poison: Poison,
): Promise<void> {
  try {
    await fileSystem.rename(temporary, `${directory.path}/${MANIFEST_NAME}`)
  } catch (error) {
    // The rename may have been done: the old manifest is surely in place only if the file still has its old name.
    const there = await fileSystem.info(temporary).catch(() => undefined)
    throw there === undefined ? poison.latch(error) : await abandon(fileSystem, temporary, error, poison)
  }
  try {
    await directory.sync()
  } catch (error) {
    throw poison.latch(diskError(error, `cannot sync ${directory.path}`))
  }
}

/** The old manifest stays in place; returns the error to throw. */
async function abandon(
  fileSystem: FileSystem,
  temporary: string,
  error: unknown,
  poison: Poison,
): Promise<FlashTableError> {
  const failure = diskError(error, `cannot write ${temporary}`)
  if (failure.code !== 'FLASHTABLE_DISK_FULL' && !isPassing(failure)) return poison.latch(failure)
  // It must take no room on a full disk. If it stays, it is an orphan. The next one is another file.
  await fileSystem.unlink(temporary).catch(() => {})
  return failure
}

async function writeTemporary(fileSystem: FileSystem, path: string, bytes: Uint8Array): Promise<void> {
  const file = await createAnew(fileSystem, path)
  try {
    await writeFully(file, bytes, 0)
    await file.sync()
  } catch (error) {
    await file.close().catch(() => {})
    throw error
  }
  await file.close()
}

/** Creates the file, although an earlier install may have left one. */
async function createAnew(fileSystem: FileSystem, path: string): Promise<FileHandle> {
  try {
    return await fileSystem.open(path, 'create')
  } catch (error) {
    if (!hasCode(error, 'EEXIST')) throw error
  }
  await fileSystem.unlink(path)
  return fileSystem.open(path, 'create')
}
