/** Damage that may be in a cache, or have come on the way, and not in the file. */
import { hasCode } from '../base/errors.js'
import type { FileHandle } from '../io/file-system.js'

/** Runs `read` of these bytes. If it finds damage, and they may be cached, it runs once more, past the cache. */
export async function onceMore<T>(
  file: FileHandle,
  position: number,
  bytes: number,
  read: () => Promise<T>,
): Promise<T> {
  try {
    return await read()
  } catch (error) {
    // A damaged version number looks like one of a later release.
    const isDamage =
      hasCode(error, 'FLASHTABLE_CORRUPTION') || hasCode(error, 'FLASHTABLE_UNSUPPORTED_FORMAT')
    if (file.forget === undefined || !isDamage) throw error
    file.forget(position, bytes)
    return read()
  }
}
