// Runs modules in a process of their own, each in an empty directory as the working directory, and reports how each
// ended: `node --import tsx run-examples.mjs RESULTS MODULE...`. For test/format/api-examples.test.ts.
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'

const [results, ...modules] = process.argv.slice(2)
const failures = {}
for (const module of modules) {
  const directory = await mkdtemp(join(tmpdir(), 'flashtable-example-'))
  process.chdir(directory)
  try {
    await import(pathToFileURL(module).href)
  } catch (error) {
    failures[module] = error instanceof Error ? error.stack : String(error)
  }
  process.chdir('/')
  await rm(directory, { recursive: true })
}
await writeFile(results, JSON.stringify(failures))
