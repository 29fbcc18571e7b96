/** `directoryStore` as the package exports it: on the disks of this machine. docs/api.md, Object stores. */
import { pathToFileURL } from 'node:url'
import { nodeFileSystem } from '../io/node-file-system.js'
import { refuseExtra } from '../options/arguments.js'
import { absolutePath } from '../options/location.js'
import { DirectoryStore } from './directory-store.js'
import type { ObjectStore } from './object-store.js'

/**
 * The directory as an object store: on another disk, a memory stick, a file server. It is made when something is published.
 * Throws with `FLASHTABLE_INVALID_OPTION`.
 */
export function directoryStore(location: string | URL, ...extra: never[]): ObjectStore {
  refuseExtra('directoryStore', extra)
  const directory = absolutePath(location, 'location')
  return new DirectoryStore(nodeFileSystem, directory, pathToFileURL(directory).href)
}
