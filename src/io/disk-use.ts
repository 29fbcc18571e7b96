/** The disk space that a directory takes, as `du` counts it: blocks, not sizes. */
import { diskError } from '../base/errors.js'
import type { FileSystem } from './file-system.js'

export interface DiskUse {
  /** The directory itself and everything in it. */
  readonly bytes: number
  /** By file name. Files may have been removed since. */
  readonly bytesOf: ReadonlyMap<string, number>
}

/** Throws `FLASHTABLE_IO_ERROR`. */
export async function diskUse(fileSystem: FileSystem, directory: string): Promise<DiskUse> {
  const bytesOf = new Map<string, number>()
  try {
    let bytes = (await fileSystem.info(directory))?.allocatedBytes ?? 0
    for (const name of await fileSystem.list(directory)) {
      const info = await fileSystem.info(`${directory}/${name}`)
      // It was removed meanwhile.
      if (info === undefined) continue
      bytesOf.set(name, info.allocatedBytes)
      bytes += info.allocatedBytes
    }
    return { bytes, bytesOf }
  } catch (error) {
    throw diskError(error, `${directory} cannot be read`)
  }
}
