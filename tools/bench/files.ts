/** Sizes of files. */
import { readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'

/** Bytes of blocks of all files in a directory: a file with holes counts for what it holds. */
export function directoryBytes(directory: string): number {
  return readdirSync(directory, { recursive: true, encoding: 'utf8' })
    .map(name => statSync(join(directory, name)))
    .filter(info => info.isFile())
    .reduce((total, info) => total + info.blocks * 512, 0)
}
