/** One place for the compiled command line in a run of the tests: the first test file that needs it compiles it there. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestProject } from 'vitest/node'

declare module 'vitest' {
  interface ProvidedContext {
    /** An empty directory, or one where {@link Cli.build} has put the command line. */
    builtCli: string
  }
}

/** Called by vitest before a run. Resolves to what is called after it. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  let directory: string
  const provide = async (): Promise<void> => {
    directory = await mkdtemp(join(tmpdir(), 'flashtable-built-'))
    project.provide('builtCli', directory)
  }
  const remove = (): Promise<void> => rm(directory, { recursive: true })
  await provide()
  // In watch mode: the sources have changed.
  project.onTestsRerun(() => remove().then(provide))
  return remove
}
