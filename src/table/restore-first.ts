/**
 * Restores a published table into a directory that has none yet, before it is opened there for writing.
 *
 * Crash: it is restored under another name, and renamed when it is complete. What a restore has left is removed by the next.
 */
import { dirname } from 'node:path'
import { throwIfAborted } from '../async/abort.js'
import { diskError, FlashTableError, hasCode } from '../base/errors.js'
import { MANIFEST_NAME } from '../io/file-names.js'
import { loadRemote } from '../remote/pointer.js'
import type { ObjectStore } from '../store/object-store.js'
import type { Environment } from './environment.js'
import { removeTableFiles } from './new-directory.js'
import { restoreTable } from './restore.js'

/**
 * Does nothing if the directory has a table, or the store has none. Rejects with `FLASHTABLE_FENCED` unless it may take over,
 * and as a restore.
 */
export async function restoreFirst(
  store: ObjectStore,
  directory: string,
  { takeOver, signal }: { readonly takeOver: boolean; readonly signal: AbortSignal | undefined },
  environment: Environment,
): Promise<void> {
  const { fileSystem } = environment
  if ((await fileSystem.info(`${directory}/${MANIFEST_NAME}`)) !== undefined) return
  const published = await loadRemote(store, { signal })
  if (published === undefined) return
  if (!takeOver)
    throw new FlashTableError(
      'FLASHTABLE_FENCED',
      `${published.remote.writer.label} publishes to ${store.url}, and ${directory} has no table: ` +
        'if that writer has ended for good, pass takeOver: true, and it can publish no more',
    )
  const unfinished = `${directory}.restoring`
  try {
    // An empty one may be there.
    await fileSystem.removeDirectory(directory).catch(ignoreMissing)
    await removeTableFiles(fileSystem, unfinished)
    await fileSystem.removeDirectory(unfinished).catch(ignoreMissing)
    await restoreTable(store, unfinished, { signal }, environment)
    await fileSystem.rename(unfinished, directory)
    await fileSystem.syncDirectory(dirname(directory))
  } catch (error) {
    throwIfAborted(signal)
    throw diskError(error, `${directory} cannot be restored from ${store.url}`)
  }
}

function ignoreMissing(error: unknown): void {
  if (!hasCode(error, 'ENOENT')) throw error
}
