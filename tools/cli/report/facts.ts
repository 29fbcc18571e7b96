/** All that a report is made of: read once, and changed by nobody. What cannot be read is told in its place. */
import { statfs } from 'node:fs/promises'
import { basename, resolve } from 'node:path'
import { diskError } from '../../../src/base/errors.js'
import { FlashTable, readEventLog, type JsonObject, type TableStats } from '../../../src/index.js'
import { nodeFileSystem } from '../../../src/io/node-file-system.js'
import { verifyTable, type Verification } from '../../../src/offline/verify.js'
import { closing } from '../closing.js'
import { readableEncodings } from '../encodings.js'
import { directoryFiles, type DirectoryFile } from '../inspect/directory-files.js'
import { inspecting } from '../inspect/open-table.js'
import { inspectTable, type InspectedWhole } from '../inspect/table.js'
import { withProgress } from '../progress.js'
import type { AnyTable } from '../records.js'
import { readSchema } from '../table-schema.js'
import { countKeys, type KeyCounts } from './key-counts.js'
import { keySpaceOf, type KeySpace } from './key-space.js'
import { wearOf, type Wear } from './wear.js'

/** Why something could not be read. */
export interface Failure {
  readonly code: string
  readonly message: string
}

export interface Facts {
  /** The whole path, and the last name in it. */
  readonly directory: string
  readonly name: string
  readonly madeAt: Date
  /** What an open for reading tells; `undefined`: see `openFailure`. */
  readonly opened: Opened | undefined
  readonly openFailure: Failure | undefined
  /** What `inspect` tells; `undefined`: the manifest cannot be read. */
  readonly inspected: InspectedWhole | undefined
  readonly inspectFailure: Failure | undefined
  /** What is in the directory, if the manifest cannot be read. */
  readonly directoryFiles: readonly DirectoryFile[]
  readonly keySpace: KeySpace | undefined
  /** `undefined`: it was not asked for, or see `verifyFailure`. */
  readonly verification: Verification | undefined
  readonly verifyFailure: Failure | undefined
  /** `undefined`: there is no event log, or see `wearFailure`. */
  readonly wear: Wear | undefined
  readonly wearFailure: Failure | undefined
  /** Free space of the file system, for users that are not root; `undefined`: it does not tell. */
  readonly freeBytes: number | undefined
}

export interface Opened {
  readonly stats: TableStats
  readonly meta: JsonObject
  /** `undefined`: see `keyFailure`. */
  readonly keyCounts: KeyCounts | undefined
  readonly keyFailure: Failure | undefined
}

export interface FactOptions {
  readonly verify: boolean
  readonly signal: AbortSignal
}

/** Rejects with `FLASHTABLE_NOT_FOUND` if there is no table, or with the reason of `signal`. */
export async function gatherFacts(directory: string, { verify, signal }: FactOptions): Promise<Facts> {
  const attempt = attempts(directory, signal)
  const whole = await attempt(() =>
    inspecting({ fileSystem: nodeFileSystem, directory }, signal, async table => ({
      ...(await inspectTable(table)),
      keySpace: await keySpaceOf(table),
    })),
  )
  const opened = await attempt(() => open(directory, whole.value?.keySpace?.places ?? [], attempt, signal))
  const verified = verify
    ? await attempt(() =>
        withProgress('verifying', update =>
          verifyTable(directory, { signal, onProgress: ({ done, total }) => update(done, total) }),
        ),
      )
    : {}
  const wear = await attempt(() => wearOf(readEventLog(directory)))
  const path = resolve(directory)
  return {
    directory: path,
    name: basename(path) || path,
    madeAt: new Date(),
    opened: opened.value,
    openFailure: opened.failure,
    inspected: whole.value,
    inspectFailure: whole.failure,
    directoryFiles: whole.value === undefined ? await directoryFiles(directory) : [],
    keySpace: whole.value?.keySpace,
    verification: verified.value,
    verifyFailure: verified.failure,
    wear: wear.value,
    wearFailure: wear.failure,
    freeBytes: await freeBytesOf(directory),
  }
}

async function open(
  directory: string,
  places: readonly unknown[],
  attempt: Attempt,
  signal: AbortSignal,
): Promise<Opened> {
  const schema = await readSchema(directory)
  const opening = FlashTable.open(directory, { ...readableEncodings(schema), readOnly: true, signal })
  return closing((await opening) as AnyTable, async table => {
    const stats = await table.stats()
    const counted = await attempt(() =>
      withProgress('counting keys', onProgress =>
        countKeys(table, { key: schema.key, records: stats.records, places, signal, onProgress }),
      ),
    )
    return { stats, meta: table.meta, keyCounts: counted.value, keyFailure: counted.failure }
  })
}

type Attempt = <Value>(
  work: () => Promise<Value>,
) => Promise<{ readonly value?: Value; readonly failure?: Failure }>

/** A table that is not there and an interruption end the report; all other failures are told in it. */
function attempts(directory: string, signal: AbortSignal): Attempt {
  return async work => {
    try {
      return { value: await work() }
    } catch (error) {
      signal.throwIfAborted()
      // Anything else is a bug: it must not look like a fault of the table.
      if (typeof (error as NodeJS.ErrnoException).code !== 'string') throw error
      const failure = diskError(error, directory)
      if (failure.code === 'FLASHTABLE_NOT_FOUND') throw error
      return { failure: { code: failure.code, message: failure.message } }
    }
  }
}

async function freeBytesOf(directory: string): Promise<number | undefined> {
  try {
    const { bavail, bsize, blocks } = await statfs(directory)
    // Some file systems answer with zeros.
    return blocks === 0 ? undefined : bavail * bsize
  } catch {
    return undefined
  }
}
