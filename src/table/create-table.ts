/** Creates a table: its first manifest, in a directory that holds no table yet. */
import { Buffer } from 'node:buffer'
import { dirname } from 'node:path'
import { hasCode } from '../base/errors.js'
import type { Poison } from '../base/poison.js'
import type { Schema } from '../encoding/schema.js'
import { TABLE_ID_BYTES } from '../format/checksum.js'
import { DEFAULT_FILE_MODE } from '../base/file-mode.js'
import { modedFileSystem } from '../io/moded-file-system.js'
import { countingItself, type Manifest } from '../manifest/manifest.js'
import type { JsonObject } from '../manifest/meta.js'
import { installManifest } from '../manifest/store.js'
import { assertNoTableFiles } from '../manifest/table-directory.js'
import { DEFAULT_DUPLICATES, DEFAULT_PAGE_BYTES, type ResolvedOptions } from '../options/options.js'
import type { Environment } from './environment.js'

/** Installs the first manifest. Crash: before its rename there is no table, only a directory. */
export async function createTable(
  directory: string,
  schema: Schema,
  options: Pick<ResolvedOptions, 'pageBytes' | 'mode'> & {
    readonly duplicates: Manifest['duplicates'] | undefined
    readonly meta?: JsonObject
  },
  environment: Environment,
  poison: Poison,
): Promise<Manifest> {
  const { mode = DEFAULT_FILE_MODE } = options
  const fileSystem = modedFileSystem(environment.fileSystem, mode)
  await assertNoTableFiles(fileSystem, directory)
  const manifest = countingItself({
    tableId: newTableId(environment),
    epoch: 1,
    schema: { ...schema.stored },
    pageBytes: options.pageBytes ?? DEFAULT_PAGE_BYTES,
    duplicates: schema.combine ?? options.duplicates ?? DEFAULT_DUPLICATES,
    mode,
    files: [],
    log: { closed: [], firstSegment: 1 },
    firstLogSequence: 0,
    nextSequence: 0,
    nextFileNumber: 1,
    clean: false,
    counters: { walBytes: 0, bucketBytes: 0, manifestBytes: 0, eventBytes: 0, recordBytes: 0, records: 0 },
    meta: options.meta ?? {},
  })
  // Crash: the directory may be new, made by the user or by an open that was cut off. Without its entry everything is
  // lost.
  await fileSystem.syncDirectory(dirname(directory)).catch((error: unknown) => {
    // A parent without read permission cannot be opened for a sync. The entry in it is older than this process.
    if (!hasCode(error, 'EACCES')) throw error
  })
  await installManifest(fileSystem, directory, manifest, poison)
  return manifest
}

/** A new random id: no file of another table passes for a file of this one. 32 hexadecimal digits. */
export function newTableId({ randomBytes }: Environment): string {
  return Buffer.from(randomBytes(TABLE_ID_BYTES)).toString('hex')
}
