/** What is in the directory of a table whose manifest cannot be read. */
import { join } from 'node:path'
import { nodeFileSystem } from '../../../src/io/node-file-system.js'

export interface DirectoryFile {
  readonly name: string
  readonly bytes: number
}

/** By name. */
export async function directoryFiles(directory: string): Promise<DirectoryFile[]> {
  const files: DirectoryFile[] = []
  for (const name of (await nodeFileSystem.list(directory)).toSorted()) {
    const info = await nodeFileSystem.info(join(directory, name)).catch(() => undefined)
    files.push({ name, bytes: info?.bytes ?? 0 })
  }
  return files
}
