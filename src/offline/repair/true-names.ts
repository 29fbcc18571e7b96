/**
 * Finds files whose names were exchanged, by their content. Only a manifest begins with its first line. The seed of an
 * intact first page or frame can be solved, and each file of a table has a different one.
 *
 * A file is read under another name only if that is certain: no other file has the content, and the file of that name
 * is gone or has the content of yet another one. docs/durability.md, Repair.
 */
import { Buffer } from 'node:buffer'
import { hasCode } from '../../base/errors.js'
import { fileSeedOf, seedFor } from '../../format/checksum-seed.js'
import { fileSeed } from '../../format/checksum.js'
import { frameBytesOf, headerSeed, possibleHeader } from '../../format/frame-decoder.js'
import { viewOf } from '../../format/little-endian.js'
import { MANIFEST_NAME, bucketName, walName } from '../../io/file-names.js'
import type { FileSystem } from '../../io/file-system.js'
import { readFully } from '../../io/transfer.js'
import { tableIdBytes, writerOf } from '../../manifest/bucket-file-entry.js'
import type { Manifest } from '../../manifest/manifest.js'
import { loadManifest } from '../../manifest/store.js'
import { MAX_PAGE_BYTES } from '../../options/options.js'
import { listTable } from '../../manifest/table-directory.js'
import { lossOf, type Loss } from './types.js'

const MANIFEST_START = 'flashtable manifest '

export interface TrueNames {
  /** Reads each file of the directory under the name that fits its content. */
  readonly fileSystem: FileSystem
  readonly losses: readonly Loss[]
}

export async function trueNames(fileSystem: FileSystem, directory: string): Promise<TrueNames> {
  const names = new Map<string, string>()
  const seen = readingAs(fileSystem, directory, names)
  const { wals, buckets } = await listTable(fileSystem, directory)
  const listed = [...wals.map(walName), ...buckets.map(bucketName)]
  const manifest = await findManifest(fileSystem, directory, listed, names)
  if (manifest !== undefined) {
    const away = names.get(MANIFEST_NAME)
    const contents = new Map<string, string>()
    if (away !== undefined) contents.set(away, MANIFEST_NAME)
    const bySeed = namesBySeed(manifest, wals)
    for (const name of [MANIFEST_NAME, ...listed]) {
      if (name === (away ?? MANIFEST_NAME)) continue
      const start = await startOf(fileSystem, `${directory}/${name}`)
      const content = start === undefined ? undefined : contentOf(start, manifest.pageBytes, bySeed)
      if (content !== undefined) contents.set(name, content)
    }
    exchange(new Set(bySeed.values()), new Set(listed), contents, names)
  }
  const losses = [...names].map(([name, file]) =>
    lossOf(`${directory}/${file}`, 0, `its name: by its content it is ${name}, and it is read as that`),
  )
  return { fileSystem: names.size === 0 ? fileSystem : seen, losses }
}

/** Finds the manifest; if it has another name, adds that to `names`. */
async function findManifest(
  fileSystem: FileSystem,
  directory: string,
  listed: readonly string[],
  names: Map<string, string>,
): Promise<Manifest | undefined> {
  try {
    const loaded = await loadManifest(fileSystem, directory)
    if (loaded !== undefined) return loaded.manifest
  } catch (error) {
    if (!hasCode(error, 'FLASHTABLE_CORRUPTION')) return undefined
  }
  const found: { name: string; manifest: Manifest }[] = []
  for (const name of listed) {
    const start = await startOf(fileSystem, `${directory}/${name}`)
    if (start === undefined || !Buffer.from(start).toString('latin1').startsWith(MANIFEST_START)) continue
    const renamed = readingAs(fileSystem, directory, new Map([[MANIFEST_NAME, name]]))
    const loaded = await loadManifest(renamed, directory).catch(() => undefined)
    if (loaded !== undefined) found.push({ name, manifest: loaded.manifest })
  }
  if (found.length !== 1) return undefined
  names.set(MANIFEST_NAME, found[0]!.name)
  return found[0]!.manifest
}

/** The files that the manifest names or that an open would replay, by their seeds. */
function namesBySeed(manifest: Manifest, wals: readonly number[]): Map<number, string> {
  const own = tableIdBytes(manifest.tableId)
  const { files, log, epoch, clean } = manifest
  const bySeed = new Map<number, string>()
  for (const entry of files)
    bySeed.set(fileSeed(writerOf(entry, own), entry.epoch, entry.number), bucketName(entry.number))
  // Open segments first: closed ones have other epochs.
  for (const number of clean ? [] : wals.filter(number => number >= log.firstSegment))
    bySeed.set(fileSeed(own, epoch, number), walName(number))
  for (const closed of log.closed)
    bySeed.set(fileSeed(own, closed.epoch, closed.number), walName(closed.number))
  return bySeed
}

/** The first bytes of a file; `undefined` if they cannot be read. */
async function startOf(fileSystem: FileSystem, path: string): Promise<Uint8Array | undefined> {
  try {
    const file = await fileSystem.open(path, 'read')
    try {
      const bytes = new Uint8Array(Math.min(MAX_PAGE_BYTES, await file.size()))
      return bytes.subarray(0, await readFully(file, bytes, 0))
    } finally {
      await file.close()
    }
  } catch {
    return undefined
  }
}

/** The name that fits a file with this beginning. */
function contentOf(
  start: Uint8Array,
  pageBytes: number,
  bySeed: ReadonlyMap<number, string>,
): string | undefined {
  const frames = frameBytesOf(start)
  const header = possibleHeader(frames, 0, start.byteLength)
  const asFrame = header && bySeed.get(fileSeedOf(headerSeed(frames, 0, header), 0))
  if (asFrame !== undefined || start.byteLength < pageBytes) return asFrame
  return bySeed.get(fileSeedOf(seedFor(start, 4, pageBytes, viewOf(start).getUint32(0, true)), 0))
}

/** Adds to `names` what is certain. */
function exchange(
  wanted: ReadonlySet<string>,
  listed: ReadonlySet<string>,
  contents: ReadonlyMap<string, string>,
  names: Map<string, string>,
): void {
  for (const name of wanted) {
    const own = contents.get(name)
    if (own === name || (own === undefined && listed.has(name))) continue
    const holders = [...contents].filter(([, content]) => content === name)
    if (holders.length === 1) names.set(name, holders[0]![0])
  }
}

/** `names`: for a name, the file that is read in its place. */
function readingAs(inner: FileSystem, directory: string, names: ReadonlyMap<string, string>): FileSystem {
  const start = `${directory}/`
  const real = (path: string): string => {
    const name = path.startsWith(start) ? names.get(path.slice(start.length)) : undefined
    return name === undefined ? path : `${start}${name}`
  }
  return {
    open: (path, mode, fileMode) => inner.open(real(path), mode, fileMode),
    info: path => inner.info(real(path)),
    stamp: path => inner.stamp(real(path)),
    digest: path => inner.digest(real(path)),
    list: path => inner.list(path),
    // Repair changes nothing in the directory.
    rename: (from, to) => inner.rename(from, to),
    unlink: path => inner.unlink(path),
    link: (existing, path) => inner.link(existing, path),
    makeDirectory: (path, fileMode) => inner.makeDirectory(path, fileMode),
    removeDirectory: path => inner.removeDirectory(path),
    syncDirectory: path => inner.syncDirectory(path),
    openDirectory: path => inner.openDirectory(path),
    freeBytes: path => inner.freeBytes(path),
  }
}
