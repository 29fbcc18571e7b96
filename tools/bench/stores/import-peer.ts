/** Loads the package of another store. If it is not installed or does not load, the run is skipped with the reason. */
import { createRequire } from 'node:module'
import { Skipped } from '../workload.js'

/** Imports a package of tools/bench/package.json, which the type check of the library does not know. */
export async function importPeer<T>(name: string): Promise<{ module: T; version: string }> {
  try {
    const module = (await import(name)) as T
    return { module, version: versionOf(name) }
  } catch (error) {
    throw new Skipped(
      `${name} does not load: ${error instanceof Error ? error.message.split('\n')[0] : String(error)}`,
    )
  }
}

function versionOf(name: string): string {
  const require = createRequire(import.meta.url)
  for (const path of require.resolve.paths(name) ?? []) {
    try {
      return (require(`${path}/${name}/package.json`) as { version: string }).version
    } catch {
      // It may be in a folder further up; otherwise its version is unknown.
    }
  }
  return 'unknown'
}
