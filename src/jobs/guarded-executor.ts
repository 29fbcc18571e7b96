/**
 * Runs the jobs of an open writer. The directory is checked before each job, and by the job itself before it makes or
 * removes a file there. docs/durability.md, The directory.
 */
import { Buffer } from 'node:buffer'
import { MANIFEST_NAME } from '../io/file-names.js'
import { modedFileSystem } from '../io/moded-file-system.js'
import { isSameStamp, type FileSystem, type Stamp } from '../io/file-system.js'
import { guardedFileSystem } from '../io/guarded-file-system.js'
import { movedError, type Home } from '../io/home.js'
import { loadManifest } from '../manifest/store.js'
import type { CompactionJob, Executor, RangeJob, SpillJob } from './job.js'

type Job = CompactionJob | SpillJob | RangeJob

export function guardedExecutor(executor: Executor, home: Home): Executor {
  const guarded = async <J extends Job, T>(job: J, run: (job: J) => Promise<T>): Promise<T> => {
    // A checkpoint is written elsewhere.
    if (job.directory !== home.directory) return run(job)
    await home.check()
    try {
      return await run({ ...job, home: home.identity })
    } catch (error) {
      // A damaged page, for instance, may be a page of another table.
      await home.checkAfter(error)
      throw error
    }
  }
  return {
    threads: executor.threads,
    run: (job, control) => guarded(job, own => executor.run(own, control)),
    spill: (job, control) => guarded(job, own => executor.spill(own, control)),
    build: (job, control) => guarded(job, own => executor.build(own, control)),
    endIdle: () => executor.endIdle(),
    close: () => executor.close(),
  }
}

/**
 * The file system that a job works with, wherever it runs. The job does not hold the directory: its caller
 * does. It cannot know which manifest is the last one, because others are installed meanwhile; it knows its table and
 * epoch.
 */
export function jobFileSystem(inner: FileSystem, job: Job): FileSystem {
  const { directory, home, fileMode } = job
  const fileSystem = fileMode === undefined ? inner : modedFileSystem(inner, fileMode)
  if (home === undefined) return fileSystem
  /** The stamp of the last manifest that was found to be ours. */
  let known: Stamp | undefined
  return guardedFileSystem(fileSystem, {
    directory,
    async check(isRead) {
      // A read of another table fails, and is checked then.
      if (isRead) return
      for (;;) {
        const [there, manifest] = await Promise.all([
          fileSystem.stamp(directory),
          fileSystem.stamp(`${directory}/${MANIFEST_NAME}`),
        ])
        if (there?.identity !== home) throw movedError(directory, 'another directory has taken its place')
        if (isSameStamp(known, manifest)) return
        await checkManifest(fileSystem, job)
        known = manifest
      }
    },
    // No job installs a manifest.
    replaceManifest: (_temporary, rename) => rename(),
  })
}

async function checkManifest(fileSystem: FileSystem, job: Job): Promise<void> {
  const { directory, tableId } = job
  // A recovery writes with the epoch that its manifest will have.
  const expected = job.ofRecovery === true ? epochOf(job) - 1 : epochOf(job)
  const loaded = await loadManifest(fileSystem, directory)
  const isOurs =
    loaded !== undefined &&
    loaded.manifest.tableId === Buffer.from(tableId).toString('hex') &&
    loaded.manifest.epoch === expected
  if (!isOurs) throw movedError(directory, 'its manifest is not that of this writer')
}

function epochOf(job: Job): number {
  if ('output' in job) return job.output.epoch
  return job.target.kind === 'files' ? job.target.epoch : 0
}
