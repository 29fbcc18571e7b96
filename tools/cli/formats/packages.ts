/** Packages that only some formats need: npm does not install them, and they are loaded when the format is asked for. */
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'

/** A package is not installed: exit code 1. */
export class MissingPackageError extends Error {
  override readonly name = 'MissingPackageError'
  readonly code = 'MISSING_PACKAGE'
}

/**
 * Loads a package: as this file would, or from the project in the working directory, for a command that is installed
 * elsewhere. Throws a {@link MissingPackageError} that says what to install.
 */
export async function loadPackage<Package>(name: string, format: string): Promise<Package> {
  const loaded = (await load(name, format)) as { readonly default?: Package } & Package
  // What is CommonJS has everything in `default`, not all of it by name.
  return 'default' in loaded && loaded.default !== undefined ? loaded.default : loaded
}

async function load(name: string, format: string): Promise<unknown> {
  try {
    return await import(name)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ERR_MODULE_NOT_FOUND') throw error
  }
  const require = createRequire(join(process.cwd(), 'package.json'))
  let path: string
  try {
    path = require.resolve(name)
  } catch {
    throw new MissingPackageError(`${format} needs the package ${name}; install it: npm install ${name}`)
  }
  return import(pathToFileURL(path).href)
}
