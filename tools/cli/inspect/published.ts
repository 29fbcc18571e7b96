/** A version of a published table as `inspect` sees it: its bucket files where they are. It has no log. */
import { openBlockReader } from '../../../src/block-cache/block-reader.js'
import { remoteFileSystem } from '../../../src/remote/remote-file-system.js'
import { nodeEnvironment } from '../../../src/table/environment.js'
import { closing } from '../closing.js'
import { withPublished, type ReadingTexts } from '../open-for-reading.js'
import { inspecting, type InspectedTable, type Problem } from './open-table.js'

/** Runs `work` on the version that `texts` mean. */
export async function inspectingPublished<Result extends { readonly problems: readonly Problem[] }>(
  url: string,
  texts: ReadingTexts,
  signal: AbortSignal,
  work: (table: InspectedTable) => Promise<Result>,
): Promise<Result> {
  return withPublished(url, texts, signal, async ({ store, remote, version }) => {
    return closing(await openBlockReader(store, nodeEnvironment, {}), async objects => {
      // Ends what is being fetched.
      const close = (): void => void objects.close()
      signal.addEventListener('abort', close)
      try {
        const fileSystem = remoteFileSystem(store.url, remote, version, objects)
        return await inspecting({ fileSystem, directory: store.url }, signal, work)
      } finally {
        signal.removeEventListener('abort', close)
        signal.throwIfAborted()
      }
    })
  })
}
