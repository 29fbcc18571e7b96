/**
 * Restores a published table into a directory that has none yet, before it is opened there for writing.
 *
 * Crash: it is restored below another name, `DIR.restoring`, and renamed when it is complete. What a restore has left is removed
 * by the next. That other directory has a lock: of several opens one restores, and the others find the table. The published table
 * is taken over before: a writer that still lives would publish something newer meanwhile, and the copy could not go on with that.
 */
import { dirname } from 'node:path'
import { throwIfAborted } from '../async/abort.js'
import { diskError, FlashTableError, hasCode, messageOf } from '../base/errors.js'
import { MANIFEST_NAME } from '../io/file-names.js'
import type { ResolvedOptions } from '../options/options.js'
import { changeRemote, loadRemote } from '../remote/pointer.js'
import { manifestOf } from '../remote/remote-manifest.js'
import type { ObjectStore } from '../store/object-store.js'
import type { Environment } from './environment.js'
import { removeTableFiles } from './new-directory.js'
import { writerLabel } from './publish.js'
import { newWriterId, restoreTable, type ClaimedTable } from './restore.js'
import { openSchema, type TableLock } from './table-parts.js'

/** The directory of the lock is removed by who has held it: then it is made again, at most this often. */
const ATTEMPTS = 20

/**
 * Does nothing if the directory has a table, or the store has none. Rejects with `FLASHTABLE_FENCED` unless `takeOver`,
 * `_SCHEMA_MISMATCH` if it is another table than the options say, `_LOCKED` if another open restores it meanwhile, `_EXISTS` if
 * something else is in the directory, and as a restore.
 */
export async function restoreFirst(
  store: ObjectStore,
  directory: string,
  options: ResolvedOptions,
  takeOver: boolean,
  environment: Environment,
): Promise<void> {
  if (await hasTable(directory, environment)) return
  const { signal } = options
  const published = await loadRemote(store, { signal })
  if (published === undefined) return
  if (!takeOver)
    throw new FlashTableError(
      'FLASHTABLE_FENCED',
      `${published.remote.writer.label} publishes to ${store.url}, and ${directory} has no table: ` +
        'if that writer has ended for good, pass takeOver: true, and it can publish no more',
    )
  const { remote } = published
  // Before anybody is stopped.
  openSchema(store.url, manifestOf(remote, remote.versions.at(-1)!), options)
  const place = `${directory}.restoring`
  try {
    const lock = await lockPlace(directory, place, options, environment)
    try {
      // It may have been restored while this open has waited.
      if (!(await hasTable(directory, environment)))
        await restore(store, directory, place, signal, environment)
    } finally {
      await lock.release()
      // As long as nobody else has locked it.
      await environment.fileSystem.removeDirectory(place).catch(() => {})
    }
  } catch (error) {
    throwIfAborted(signal)
    throw diskError(error, `${directory} cannot be restored from ${store.url}`)
  }
}

async function restore(
  store: ObjectStore,
  directory: string,
  place: string,
  signal: AbortSignal | undefined,
  environment: Environment,
): Promise<void> {
  const { fileSystem } = environment
  const unfinished = `${place}/table`
  await removeEmpty(directory, environment)
  await removeTableFiles(fileSystem, unfinished)
  await fileSystem.removeDirectory(unfinished).catch(ignoreMissing)
  const claimed = await claim(store, directory, signal, environment)
  await restoreTable(store, unfinished, { signal }, environment, claimed)
  await fileSystem.rename(unfinished, directory)
  await fileSystem.syncDirectory(dirname(directory))
}

/** From then on the writer before can publish no more. Crash: the next open claims it again. */
async function claim(
  store: ObjectStore,
  directory: string,
  signal: AbortSignal | undefined,
  environment: Environment,
): Promise<ClaimedTable> {
  const id = newWriterId(environment)
  const label = writerLabel(directory)
  const pointer = { store, newNonce: () => newWriterId(environment), wait: environment.wait }
  const claimed = await changeRemote(
    pointer,
    await loadRemote(store, { signal }),
    current => {
      if (current === undefined)
        throw new FlashTableError('FLASHTABLE_NOT_FOUND', `what was published to ${store.url} is gone`)
      return { ...current, epoch: current.epoch + 1, writer: { id, label } }
    },
    { signal, isWriter: true },
  )
  return { remote: claimed!.remote, writer: id }
}

async function hasTable(directory: string, { fileSystem }: Environment): Promise<boolean> {
  return (await fileSystem.info(`${directory}/${MANIFEST_NAME}`)) !== undefined
}

async function lockPlace(
  directory: string,
  place: string,
  { lockTimeoutMs: timeoutMs, signal }: ResolvedOptions,
  { fileSystem, acquireLock }: Environment,
): Promise<TableLock> {
  for (let attempt = 1; ; attempt++) {
    try {
      await fileSystem.makeDirectory(place)
      return await acquireLock(place, { timeoutMs, signal })
    } catch (error) {
      if (hasCode(error, 'FLASHTABLE_LOCKED'))
        throw new FlashTableError(
          'FLASHTABLE_LOCKED',
          `${directory} is being restored by another process or another open (${messageOf(error)})`,
          { cause: error },
        )
      const isGone = hasCode(error, 'ENOENT') || hasCode((error as Error).cause, 'ENOENT')
      if (!isGone || attempt === ATTEMPTS) throw error
    }
  }
}

/** An empty one may be there: the restored one takes its place. */
async function removeEmpty(directory: string, { fileSystem }: Environment): Promise<void> {
  try {
    await fileSystem.removeDirectory(directory)
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return
    if (hasCode(error, 'ENOTEMPTY') || hasCode(error, 'EEXIST'))
      throw new FlashTableError(
        'FLASHTABLE_EXISTS',
        `what is published cannot be restored into ${directory}: there is something in it, and no table; empty it, or choose ` +
          'another directory',
        { cause: error, path: directory },
      )
    if (hasCode(error, 'EBUSY') || hasCode(error, 'ENOTDIR'))
      throw new FlashTableError(
        'FLASHTABLE_IO_ERROR',
        `what is published cannot be restored into ${directory}, which is a mount point, a link or a file: choose a directory in ` +
          `it, or another one (${messageOf(error)})`,
        { cause: error, path: directory },
      )
    throw error
  }
}

function ignoreMissing(error: unknown): void {
  if (!hasCode(error, 'ENOENT')) throw error
}
