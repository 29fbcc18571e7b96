/**
 * Programs that tests run in processes of their own. Each is bundled with the sources that it imports into one file of
 * JavaScript: tsx would load hundreds of modules in every process, which takes longer than what most of them do.
 */
import { createHash } from 'node:crypto'
import { mkdir, symlink } from 'node:fs/promises'
import { basename, join, resolve } from 'node:path'
import { build, type BuildOptions, type Plugin } from 'esbuild'
import { inject } from 'vitest'
import { workerText } from '../../tools/build/worker-text.mjs'

const ROOT = resolve(import.meta.dirname, '../..')

/** What a program in text imports the library from. */
export const LIBRARY = JSON.stringify(join(ROOT, 'src/index.ts'))

/** As the build does it: threads start from text. */
const WORKER_AS_TEXT: Plugin = {
  name: 'worker-as-text',
  setup(builder) {
    builder.onLoad({ filter: /[/]executor[/]worker-source\.ts$/ }, async () => ({
      contents: (await workerText()).text,
    }))
  },
}

/** A program of test/support, to be run by `node`. */
export function programFile(name: string): Promise<string> {
  return bundled(basename(name), { entryPoints: [join(ROOT, 'test/support', name)] })
}

/** A program that is text, to be run by `node`. Others may be made of the same text. */
export function programOf(text: string): Promise<string> {
  const name = createHash('sha256').update(text).digest('hex').slice(0, 16)
  return bundled(name, { stdin: { contents: text, resolveDir: ROOT } })
}

const made = new Map<string, Promise<string>>()

/** Made once for a test file. */
function bundled(name: string, input: BuildOptions): Promise<string> {
  if (!made.has(name)) made.set(name, bundle(name, input))
  return made.get(name)!
}

async function bundle(name: string, input: BuildOptions): Promise<string> {
  const directory = join(inject('builtCli'), 'programs', String(process.pid))
  const outfile = join(directory, `${name}.mjs`)
  await mkdir(directory, { recursive: true })
  await symlink(join(ROOT, 'node_modules'), join(directory, 'node_modules')).catch(() => {})
  const { warnings } = await build({
    ...input,
    outfile,
    bundle: true,
    packages: 'external',
    platform: 'node',
    format: 'esm',
    target: 'node20',
    plugins: [WORKER_AS_TEXT],
  })
  if (warnings.length > 0) throw new Error(`${name} does not bundle: ${JSON.stringify(warnings)}`)
  return outfile
}
