/**
 * Opens a ring below a cache directory. Each user of the directory has one of its own, so that they need not know of each
 * other: the first of `ring-0`, `ring-1` ... that nobody else has locked.
 */
import { atOnce } from '../async/at-once.js'
import { diskError, hasCode } from '../base/errors.js'
import type { FileHandle, FileSystem } from '../io/file-system.js'
import type { AcquireLock, TableLock } from '../io/lock.js'
import { readFully } from '../io/transfer.js'
import { DiskRing, type RingContent } from './disk-ring.js'
import { RingIndex } from './ring-index.js'
import { INDEX_BYTES, SEGMENT_BLOCKS, SEGMENT_BYTES, readIndexPage } from './ring-segment.js'

/** Users of one directory at once. */
const RINGS_MAX = 256
/** The blocks of a ring. */
const FILE_NAME = 'blocks'
const READS_AT_ONCE = 16

/** What it needs of the system. */
export interface RingParts {
  readonly fileSystem: FileSystem
  readonly acquireLock: AcquireLock
}

/** A ring, or why there is none. */
export type OpenedRing =
  | { readonly ring: DiskRing; readonly directory: string; readonly lock: Pick<TableLock, 'release'> }
  | { readonly ring?: undefined; readonly off: string }

/** Never rejects. Requires: `diskBytes` is what the option of that name allows. */
export async function openRing(
  parts: RingParts,
  cacheDirectory: string,
  diskBytes: number,
): Promise<OpenedRing> {
  try {
    return await openFirstFree(parts, cacheDirectory, diskBytes)
  } catch (error) {
    return { off: diskError(error, `cannot open a cache in ${cacheDirectory}`).message }
  }
}

async function openFirstFree(
  { fileSystem, acquireLock }: RingParts,
  cacheDirectory: string,
  diskBytes: number,
): Promise<OpenedRing> {
  for (let number = 0; number < RINGS_MAX; number++) {
    const directory = `${cacheDirectory}/ring-${number}`
    await fileSystem.makeDirectory(directory)
    let lock: Pick<TableLock, 'release'>
    try {
      lock = await acquireLock(directory, { timeoutMs: 0 })
    } catch (error) {
      if (hasCode(error, 'FLASHTABLE_LOCKED')) continue
      throw error
    }
    try {
      const ring = await openFile(fileSystem, `${directory}/${FILE_NAME}`, diskBytes)
      return { ring, directory, lock }
    } catch (error) {
      await lock.release().catch(() => {})
      throw error
    }
  }
  return { off: `${cacheDirectory} has ${RINGS_MAX} users already: give this one a directory of its own` }
}

async function openFile(fileSystem: FileSystem, path: string, diskBytes: number): Promise<DiskRing> {
  const segments = Math.floor(diskBytes / SEGMENT_BYTES)
  const info = await fileSystem.info(path)
  // A file can be made no shorter: with a smaller budget the ring begins anew.
  const isThere = info !== undefined && info.bytes <= segments * SEGMENT_BYTES
  if (info !== undefined && !isThere) await fileSystem.unlink(path)
  const file = await fileSystem.open(path, isThere ? 'update' : 'create')
  try {
    const ring = new DiskRing(file, await contentOf(file, segments))
    await ring.ready()
    return ring
  } catch (error) {
    await file.close().catch(() => {})
    throw error
  }
}

/** Reads the index pages: 4 KiB of 2 MiB. */
async function contentOf(file: FileHandle, segments: number): Promise<RingContent> {
  const inFile = Math.min(segments, Math.ceil((await file.size()) / SEGMENT_BYTES))
  const index = new RingIndex(segments * SEGMENT_BLOCKS)
  const generations = new Float64Array(inFile)
  let newest: { readonly segment: number; readonly generation: number; readonly blocks: number } | undefined
  await atOnce(inFile, READS_AT_ONCE, async segment => {
    const page = new Uint8Array(INDEX_BYTES)
    await readFully(file, page, segment * SEGMENT_BYTES)
    const found = readIndexPage(page)
    if (found === undefined) return
    const { generation, entries } = found
    generations[segment] = generation
    if (newest === undefined || generation > newest.generation)
      newest = { segment, generation, blocks: entries.length }
    for (const [i, entry] of entries.entries()) {
      if (entry === undefined) continue
      const other = index.find(entry.words, entry.block)
      if (other >= 0 && generations[Math.floor(other / SEGMENT_BLOCKS)]! >= generation) continue
      if (other >= 0) index.remove(other)
      index.set(segment * SEGMENT_BLOCKS + i, entry)
    }
  })
  return {
    index,
    segments,
    generation: newest?.generation ?? 0,
    // Room that was never used comes first.
    head: inFile < segments || newest === undefined ? inFile % segments : (newest.segment + 1) % segments,
    unfinished: newest !== undefined && newest.blocks < SEGMENT_BLOCKS ? newest.segment : undefined,
  }
}
