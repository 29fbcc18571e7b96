// The second half of `npm run build`, after tsc: bundles parts of dist, so that what a user's bundler, test runner or
// single executable makes of the package needs nothing at run time. docs/decisions/embedded-worker.md.
import { build } from 'esbuild'
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import process from 'node:process'
import { pathToFileURL } from 'node:url'
import { manPage } from './man-page.mjs'

/** Where tsc has put its output, for the package or for the benchmarks. */
const OUT = process.argv[2] ?? 'dist'
const OPTIONS = { bundle: true, write: false, target: 'node20', legalComments: 'none' }

async function bundle(options) {
  const { outputFiles, warnings } = await build({ ...OPTIONS, ...options })
  if (warnings.length > 0) throw new Error(`it does not bundle: ${JSON.stringify(warnings)}`)
  return outputFiles[0].text
}

/** The worker thread's script, as text. */
async function worker() {
  const entryPoints = ['src/executor/worker.ts']
  const text = await bundle({ entryPoints, platform: 'node', format: 'cjs', minifyWhitespace: true })
  return `/** The script of the worker threads: CommonJS, made by the build. */
export const WORKER_SOURCE = ${JSON.stringify(text)}\n`
}

/** level-transcoder as an ES module: it asks for `require('buffer')` and for globals, which not every context has. */
async function transcoder() {
  const NODE = {
    name: 'node',
    setup(build) {
      build.onResolve({ filter: /^buffer$/ }, () => ({ path: 'buffer', namespace: 'node' }))
      build.onLoad({ filter: /.*/, namespace: 'node' }, () => ({
        contents: `export { Buffer } from 'node:buffer'`,
      }))
    },
  }
  return bundle({
    stdin: { contents: `export { Transcoder } from 'level-transcoder'`, resolveDir: '.' },
    format: 'esm',
    external: ['node:*'],
    plugins: [NODE],
    inject: ['tools/build/build-globals.mjs'],
    banner: {
      js: '/** level-transcoder, MIT, copyright 2012 its contributors; module-error, MIT, copyright Vincent Weevers. */',
    },
  })
}

writeFileSync(join(OUT, 'src/executor/worker-source.js'), await worker())
writeFileSync(join(OUT, 'src/encoding/transcoder.js'), await transcoder())

/** Since TypeScript 5.7 typed arrays have a type parameter for their memory; older compilers get a copy without it. */
function declarationsWithoutMemory() {
  const arrays = /\b((?:Big)?(?:Uint|Int|Float)(?:8|16|32|64)Array)<[^<>]*>/g
  for (const name of readdirSync(join(OUT, 'src'), { recursive: true })) {
    if (!name.endsWith('.d.ts')) continue
    const copy = join(OUT, 'types-5.0', name)
    mkdirSync(dirname(copy), { recursive: true })
    writeFileSync(copy, readFileSync(join(OUT, 'src', name), 'utf8').replaceAll(arrays, '$1'))
  }
}

declarationsWithoutMemory()

/** What `man flashtable` shows after a global install: the field `man` of package.json names it. */
async function writeManPage() {
  const program = resolve(OUT, 'tools/cli/program.js')
  // The benchmarks build the library alone.
  if (!existsSync(program)) return
  const { commandLine, EXIT_CODES } = await import(pathToFileURL(program).href)
  const { version } = JSON.parse(readFileSync('package.json', 'utf8'))
  writeFileSync(join(OUT, 'flashtable.1'), manPage(commandLine(), { version, exitCodes: EXIT_CODES }))
}

await writeManPage()
