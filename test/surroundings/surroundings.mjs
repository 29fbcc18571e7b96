/** What is tried. Each makes what it needs in the project, and resolves to a remark where there is something to tell. */
import { cpSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import process from 'node:process'
import { Skipped, bin, bun, deno, node, run, tool } from './tools.mjs'

/** Runs a program that prints what `smoke` says, and wants threads of it. */
async function smoke(command, args, { project, tables }, env = {}) {
  const output = await run(command, args, { cwd: project, env: { FLASHTABLE_SMOKE: tables, ...env } })
  return expectThreads(output)
}

function expectThreads(output) {
  if (!/\bok with threads\b/.test(output)) throw Object.assign(new Error('it did not say ok'), { output })
  return ''
}

/** A directory of the project for what one surrounding makes. */
function folder(project, name) {
  const path = join(project, 'made', name)
  mkdirSync(path, { recursive: true })
  return path
}

/** Bundles the smoke program into one file without a warning; resolves to its path. */
async function bundled({ project }, format, name) {
  const file = join(folder(project, name), format === 'esm' ? 'out.mjs' : 'out.cjs')
  const args = ['--bundle', '--platform=node', '--target=node20', '--minify', `--format=${format}`]
  const output = await run(bin('esbuild'), ['main.mjs', ...args, `--outfile=${file}`], { cwd: project })
  if (/warning/i.test(output)) throw Object.assign(new Error('it bundles with warnings'), { output })
  return file
}

const esbuild = format => async context =>
  smoke(process.execPath, [await bundled(context, format, `esbuild-${format}`)], context)

async function rollup(context) {
  const out = folder(context.project, 'rollup')
  writeFileSync(
    join(out, 'rollup.config.mjs'),
    `import resolve from ${JSON.stringify(tool('@rollup/plugin-node-resolve/dist/es/index.js'))}
     import commonjs from ${JSON.stringify(tool('@rollup/plugin-commonjs/dist/es/index.js'))}
     export default {
       input: 'main.mjs',
       output: { file: 'made/rollup/out.mjs', format: 'es', inlineDynamicImports: true },
       plugins: [resolve({ preferBuiltins: true }), commonjs()],
     }`,
  )
  await run(process.execPath, [bin('rollup'), '-c', 'made/rollup/rollup.config.mjs'], {
    cwd: context.project,
  })
  return smoke(process.execPath, ['made/rollup/out.mjs'], context)
}

async function vite(context) {
  const out = folder(context.project, 'vite')
  writeFileSync(
    join(out, 'vite.config.mjs'),
    `export default { ssr: { noExternal: true }, build: { outDir: 'made/vite/out', minify: true }, logLevel: 'warn' }`,
  )
  const args = [bin('vite'), 'build', '--ssr', 'main.mjs', '--config', 'made/vite/vite.config.mjs']
  await run(process.execPath, args, { cwd: context.project })
  const [file] = readdirSync(join(out, 'out'))
  return smoke(process.execPath, [join(out, 'out', file)], context)
}

const webpack = format => async context => {
  const out = folder(context.project, `webpack-${format}`)
  const esm = format === 'esm'
  writeFileSync(
    join(out, 'build.cjs'),
    `const webpack = require(${JSON.stringify(tool('webpack'))})
     webpack({
       mode: 'production',
       target: 'node20',
       context: ${JSON.stringify(context.project)},
       entry: './main.mjs',
       experiments: { outputModule: ${esm} },
       output: {
         path: ${JSON.stringify(out)},
         filename: 'out.${esm ? 'mjs' : 'cjs'}',
         ${esm ? `module: true, library: { type: 'module' }` : ''}
       },
       performance: { hints: false },
     }, (error, stats) => {
       if (error || stats.hasErrors() || stats.hasWarnings()) {
         console.log(error ?? stats.toString())
         process.exit(1)
       }
     })`,
  )
  await run(process.execPath, [join(out, 'build.cjs')], { cwd: context.project })
  return smoke(process.execPath, [join(out, `out.${esm ? 'mjs' : 'cjs'}`)], context)
}

/** https://nodejs.org/docs/latest-v20.x/api/single-executable-applications.html */
async function singleExecutable(context) {
  if (process.platform !== 'linux') throw new Skipped('the steps are those for Linux')
  const out = folder(context.project, 'sea')
  const bundle = await bundled(context, 'cjs', 'sea')
  const config = { main: bundle, output: join(out, 'blob'), disableExperimentalSEAWarning: true }
  writeFileSync(join(out, 'config.json'), JSON.stringify(config))
  await run(process.execPath, ['--experimental-sea-config', join(out, 'config.json')], { cwd: out })
  const program = join(out, 'program')
  cpSync(process.execPath, program)
  const fuse = 'NODE_SEA_FUSE_fce680ab2cc467b6e072b8b5df1996b2'
  const args = [bin('postject'), program, 'NODE_SEA_BLOB', join(out, 'blob'), '--sentinel-fuse', fuse]
  await run(process.execPath, args, { cwd: out })
  // From a directory that has no module.
  return smoke(program, [], { ...context, project: context.tables })
}

const jest = (version, environment) => async context => {
  const out = folder(context.project, `jest-${version}-${environment}`)
  writeFileSync(
    join(out, 'smoke.spec.mjs'),
    `import { smoke } from '../../smoke.mjs'
     test('the table works', async () => expect(await smoke()).toBe('ok with threads'), 100000)`,
  )
  const config = {
    rootDir: context.project,
    testMatch: ['<rootDir>/made/**/*.spec.mjs'],
    transform: {},
    testEnvironment: environment === 'node' ? 'node' : tool('jest-environment-jsdom'),
    ...(environment === 'jsdom' && { testEnvironmentOptions: { customExportConditions: ['node'] } }),
  }
  writeFileSync(join(out, 'jest.config.json'), JSON.stringify(config))
  const args = ['--experimental-vm-modules', bin(`jest-${version}`), '-c', join(out, 'jest.config.json')]
  await run(process.execPath, [...args, '--runTestsByPath', join(out, 'smoke.spec.mjs')], {
    cwd: context.project,
    env: { FLASHTABLE_SMOKE: context.tables },
  })
  return ''
}

const vitest = pool => async context => {
  const out = folder(context.project, `vitest-${pool}`)
  writeFileSync(
    join(out, 'smoke.check.mjs'),
    `import { smoke } from '../../smoke.mjs'
     test('the table works', async () => expect(await smoke()).toBe('ok with threads'), 100000)`,
  )
  writeFileSync(
    join(out, 'vitest.config.mjs'),
    `export default {
       root: ${JSON.stringify(out)},
       test: { globals: true, include: ['*.check.mjs'], pool: ${JSON.stringify(pool)}, watch: false },
     }`,
  )
  const args = [bin('vitest'), 'run', '--config', join(out, 'vitest.config.mjs')]
  await run(process.execPath, args, { cwd: out, env: { FLASHTABLE_SMOKE: context.tables } })
  return ''
}

/** A context that has nothing but the language, what a module loader gives, and the smoke program bundled. */
async function bareContext(context) {
  const bundle = await bundled(context, 'cjs', 'bare')
  writeFileSync(
    join(context.project, 'bare.cjs'),
    `const { readFileSync } = require('node:fs')
     const { createContext, runInContext } = require('node:vm')
     const code = '(function (require, module, exports, console) {' + readFileSync(process.argv[2], 'utf8') + '\\n})'
     runInContext(code, createContext({}))(require, { exports: {} }, {}, console)`,
  )
  return smoke(process.execPath, ['bare.cjs', bundle], context)
}

async function userWorker(context) {
  writeFileSync(
    join(context.project, 'in-worker.mjs'),
    `import { Worker } from 'node:worker_threads'
     new Worker(new URL('./main.mjs', import.meta.url))`,
  )
  return smoke(process.execPath, ['in-worker.mjs'], context)
}

async function cluster(context) {
  writeFileSync(
    join(context.project, 'in-cluster.mjs'),
    `import cluster from 'node:cluster'
     if (cluster.isPrimary) {
       for (let i = 0; i < 2; i++) cluster.fork().on('exit', code => { if (code !== 0) process.exitCode = 1 })
     } else {
       const { smoke } = await import('./smoke.mjs')
       console.log(await smoke())
       process.disconnect()
     }`,
  )
  return smoke(process.execPath, ['in-cluster.mjs'], context)
}

const withFlags =
  (...flags) =>
  context =>
    smoke(process.execPath, [...flags, 'main.mjs'], context)
const evaluated = env => context =>
  smoke(
    process.execPath,
    [...(env === undefined ? ['--input-type=module'] : []), '-e', `import './main.mjs'`],
    context,
    env,
  )

/** Node's permission model allows all that is asked for, but threads. */
const permissions = (command, flag, threads) => async context => {
  const args = [
    flag,
    '--allow-fs-read=*',
    '--allow-fs-write=*',
    ...(threads ? ['--allow-worker'] : []),
    'main.mjs',
  ]
  const output = await run(command(), args, {
    cwd: context.project,
    env: { FLASHTABLE_SMOKE: context.tables },
  })
  if (threads) return expectThreads(output)
  if (/ok without threads: .*--allow-worker/.test(output)) return ''
  throw Object.assign(new Error('it did not say what is missing'), { output })
}

/** TypeScript as a user has it: strict, and without `skipLibCheck`. */
const typescript = version => async context => {
  const name = `typescript-${version}`
  const out = folder(context.project, name)
  cpSync(join(context.project, 'typed.ts'), join(out, 'typed.ts'))
  const compilerOptions = {
    strict: true,
    noEmit: true,
    target: 'es2022',
    lib: ['es2022'],
    module: 'nodenext',
    moduleResolution: 'nodenext',
    skipLibCheck: false,
    types: [],
  }
  writeFileSync(join(out, 'tsconfig.json'), JSON.stringify({ compilerOptions, files: ['typed.ts'] }))
  const compiler =
    version === 'own' ? join(context.repository, 'node_modules/typescript/bin/tsc') : bin(name, 'tsc')
  await run(process.execPath, [compiler, '-p', out], { cwd: out })
  return ''
}

/** `npm install` of a folder or of a git address builds what it needs. */
const installed = address => async context => {
  // Apart from the project: Jest wants each name of a package once.
  const out = context.tables
  const clone = join(out, 'clone')
  await run('git', ['clone', '--quiet', '--no-local', context.repository, clone], { cwd: out })
  const user = join(out, 'user')
  mkdirSync(user)
  writeFileSync(join(user, 'package.json'), '{ "name": "user", "private": true, "type": "module" }')
  cpSync(join(context.project, 'main.mjs'), join(user, 'main.mjs'))
  cpSync(join(context.project, 'smoke.mjs'), join(user, 'smoke.mjs'))
  const from = address === 'git' ? `git+file://${clone}` : '../clone'
  await run('npm', ['install', '--no-audit', '--no-fund', '--prefer-offline', from], { cwd: user })
  return smoke(process.execPath, ['main.mjs'], { ...context, project: user })
}

export const SURROUNDINGS = [
  { name: 'npm install of a git address', run: installed('git') },
  { name: 'npm install of a folder', run: installed('folder') },
  { name: 'esbuild, one ES module', run: esbuild('esm') },
  { name: 'esbuild, one CommonJS file', run: esbuild('cjs') },
  { name: 'Rollup', run: rollup },
  { name: 'Vite SSR, noExternal', run: vite },
  { name: 'webpack, CommonJS', run: webpack('cjs') },
  { name: 'webpack, ES module', run: webpack('esm') },
  { name: 'single executable', run: singleExecutable },
  { name: 'Jest 29', run: jest(29, 'node') },
  { name: 'Jest 30', run: jest(30, 'node') },
  { name: 'Jest 30, jsdom', run: jest(30, 'jsdom') },
  { name: 'Vitest forks', run: vitest('forks') },
  { name: 'Vitest threads', run: vitest('threads') },
  { name: 'Vitest vmForks', run: vitest('vmForks') },
  { name: 'Vitest vmThreads', run: vitest('vmThreads') },
  { name: 'a bare vm context', run: bareContext },
  { name: `a user's worker`, run: userWorker },
  { name: 'cluster', run: cluster },
  { name: 'Bun', run: context => smoke(bun(), ['main.mjs'], context) },
  { name: 'Deno', run: context => smoke(deno(), ['run', '-A', 'main.mjs'], context) },
  { name: 'Node 22', run: context => smoke(node(22), ['main.mjs'], context) },
  { name: 'Node 24', run: context => smoke(node(24), ['main.mjs'], context) },
  { name: 'tsx', run: context => smoke(process.execPath, [bin('tsx'), 'main.mjs'], context) },
  { name: 'node --input-type=module -e', run: evaluated() },
  { name: 'NODE_OPTIONS=--input-type=module', run: evaluated({ NODE_OPTIONS: '--input-type=module' }) },
  { name: 'node --jitless', run: withFlags('--jitless') },
  {
    name: 'node --disallow-code-generation-from-strings',
    run: withFlags('--disallow-code-generation-from-strings'),
  },
  {
    name: 'node --permission, Node 20',
    run: permissions(() => process.execPath, '--experimental-permission', true),
  },
  {
    name: 'node --permission without --allow-worker',
    run: permissions(() => node(24), '--permission', false),
  },
  { name: 'node --permission, Node 24', run: permissions(() => node(24), '--permission', true) },
  { name: 'TypeScript 5.0', run: typescript('5.0') },
  { name: 'TypeScript 5.4', run: typescript('5.4') },
  { name: 'TypeScript 5.7', run: typescript('5.7') },
  { name: 'TypeScript 6', run: typescript('6') },
  { name: 'TypeScript of this repository', run: typescript('own') },
]
