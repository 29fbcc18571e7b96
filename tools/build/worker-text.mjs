// The script of the worker threads as text, for the build and for the tests. docs/decisions/embedded-worker.md.
import { build } from 'esbuild'

/** A module that can be in the place of src/executor/worker-source.ts, and the files of which it is made. */
export async function workerText() {
  const { outputFiles, metafile, warnings } = await build({
    entryPoints: ['src/executor/worker.ts'],
    bundle: true,
    write: false,
    metafile: true,
    target: 'node20',
    legalComments: 'none',
    platform: 'node',
    format: 'cjs',
    minifyWhitespace: true,
  })
  if (warnings.length > 0) throw new Error(`the worker does not bundle: ${JSON.stringify(warnings)}`)
  const text = `/** The script of the worker threads: CommonJS, made by the build. */
export const WORKER_SOURCE = ${JSON.stringify(outputFiles[0].text)}\n`
  return { text, files: Object.keys(metafile.inputs) }
}
