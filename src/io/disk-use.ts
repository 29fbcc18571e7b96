/** What a directory takes of its disk, as `du` counts it: blocks, not sizes. */
import { diskError } from '../base/errors.js'
import type { FileSystem } from './file-system.js'

export interface DiskUse {
  /** The directory itself, and all that is in it. */
  readonly bytes: number
  /** By name; of a moment, so names may have gone since. */
  readonly bytesOf: ReadonlyMap<string, number>
}

/** Throws `FLASHTABLE_IO_ERROR`. */
export async function diskUse(fileSystem: FileSystem, directory: string): Promise<DiskUse> {
  const bytesOf = new Map<string, number>()
  try {
    let bytes = (await fileSystem.info(directory))?.allocatedBytes ?? 0
    for (const name of await fileSystem.list(directory)) {
      const info = await fileSystem.info(`${directory}/${name}`)
      // It has gone since.
      if (info === undefined) continue
      bytesOf.set(name, info.allocatedBytes)
      bytes += info.allocatedBytes
    }
    return { bytes, bytesOf }
  } catch (error) {
    throw diskError(error, `${directory} cannot be looked at`)
  }
}
