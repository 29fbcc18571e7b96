// The second half of `npm run build`, after tsc: the script of the worker threads becomes text, and the modules of the
// package are bundled into few files. docs/decisions/embedded-worker.md, docs/decisions/bundled-package.md.
//
// The benchmarks build the library alone, into another directory: it stays as tsc made it.
import { build } from 'esbuild'
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import process from 'node:process'
import { pathToFileURL } from 'node:url'
import { manPage } from './man-page.mjs'
import { workerText } from './worker-text.mjs'

/** Where tsc has put its output, for the package or for the benchmarks. */
const OUT = process.argv[2] ?? 'dist'
const OPTIONS = { bundle: true, write: false, target: 'node20', legalComments: 'none' }

async function bundle(options) {
  const { outputFiles, warnings } = await build({ ...OPTIONS, ...options })
  if (warnings.length > 0) throw new Error(`it does not bundle: ${JSON.stringify(warnings)}`)
  return outputFiles[0].text
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
      js: '/*! level-transcoder, MIT, copyright 2012 its contributors; module-error, MIT, copyright Vincent Weevers. */',
    },
  })
}

writeFileSync(join(OUT, 'src/executor/worker-source.js'), (await workerText()).text)
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

const PROGRAM = 'tools/cli/program.js'
/** What package.json names. Chunks have what several of them share. */
const ENTRIES = ['src/index.js', 'src/arrow.js', 'src/metrics.js', 'src/s3.js', 'tools/cli/main.js']

/** What `man flashtable` shows after a global install: the field `man` of package.json names it. */
async function writeManPage() {
  const { commandLine, EXIT_CODES } = await import(pathToFileURL(resolve(OUT, PROGRAM)).href)
  const { version } = JSON.parse(readFileSync('package.json', 'utf8'))
  writeFileSync(join(OUT, 'flashtable.1'), manPage(commandLine(), { version, exitCodes: EXIT_CODES }))
}

/** Puts few files in the place of the hundreds that tsc has made. What is imported when it is needed stays apart. */
async function bundlePackage() {
  const { outputFiles, warnings } = await build({
    ...OPTIONS,
    entryPoints: ENTRIES.map(name => join(OUT, name)),
    outbase: OUT,
    outdir: OUT,
    splitting: true,
    chunkNames: 'chunks/[name]-[hash]',
    format: 'esm',
    platform: 'node',
    packages: 'external',
    legalComments: 'inline',
  })
  if (warnings.length > 0) throw new Error(`it does not bundle: ${JSON.stringify(warnings)}`)
  for (const name of readdirSync(OUT, { recursive: true })) if (name.endsWith('.js')) rmSync(join(OUT, name))
  // It had declarations that nobody can import.
  rmSync(join(OUT, 'tools'), { recursive: true })
  for (const { path, text } of outputFiles) {
    mkdirSync(dirname(path), { recursive: true })
    writeFileSync(path, text)
  }
}

if (existsSync(join(OUT, PROGRAM))) {
  await writeManPage()
  await bundlePackage()
}
