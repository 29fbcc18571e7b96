/**
 * The package as its users get it: packed, installed in an empty project, and run with plain node - as ES modules,
 * through `require`, under strict TypeScript, by its command line, without a compiler for `fs-ext`.
 */
import { execFile, spawnSync } from 'node:child_process'
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { build } from 'esbuild'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { inlineExecutor } from '../../src/executor/inline-executor.js'
import { FlashTable } from '../../src/index.js'
import { nodeFileSystem } from '../../src/io/node-file-system.js'
import { codeOf, readDocument } from '../support/markdown.js'
import { allSealed } from '../support/all-sealed.js'
import { nodeEnvironment } from '../../src/table/environment.js'
import { testExamples } from './examples.js'
import { testGuide } from './guide.js'

const REPOSITORY = resolve(import.meta.dirname, '../..')
let project: string
let tarball: string

async function run(command: string, args: readonly string[], cwd = project): Promise<string> {
  const { stdout } = await promisify(execFile)(command, args, { cwd, maxBuffer: 2 ** 24 })
  return stdout
}

/** What npx starts: npx itself takes longer than the command. */
const flashtable = (...args: string[]) => run(join(project, 'node_modules/.bin/flashtable'), args)

beforeAll(async () => {
  project = await mkdtemp(join(tmpdir(), 'flashtable-packed-'))
  const packed = join(project, 'packed')
  await mkdir(packed)
  await run('npm', ['pack', '--pack-destination', packed], REPOSITORY)
  tarball = join(packed, (await readdir(packed))[0]!)
  await writeFile(join(project, 'package.json'), '{ "name": "user", "private": true, "type": "module" }')
  await run('npm', ['install', '--ignore-scripts', '--prefer-offline', '--no-audit', '--no-fund', tarball])
})

afterAll(() => rm(project, { recursive: true, force: true }))

test('an ES module opens a table, and the compactor runs in its worker thread', async () => {
  await writeFile(
    join(project, 'user.mjs'),
    `import { FlashTable, struct } from 'flashtable'
     const options = { keyEncoding: 'u64', valueEncoding: struct({ id: 'u32' }), bufferBytes: 65536, fanout: 3 }
     const table = await FlashTable.open('./table', options)
     for (let i = 0; i < 60000; i += 3000) {
       const key = BigUint64Array.from({ length: 3000 }, (_, j) => BigInt((i + j) * 7919))
       await table.putColumns({ key, id: Uint32Array.from(key, (_, j) => i + j) })
     }
     await table.compact()
     const { files, records } = await table.stats()
     console.log(JSON.stringify({ files: files.length, records, hit: table.getSync(7919n * 41999n) }))
     await table.close()`,
  )
  const output = await run(process.execPath, ['user.mjs'])
  expect(JSON.parse(output)).toEqual({ files: 1, records: 60_000, hit: { id: 41_999 } })
})

test('require() works, and a table that is never closed does not keep the process alive', async () => {
  await writeFile(
    join(project, 'user.cjs'),
    `const { FlashTable } = require('flashtable')
     FlashTable.open('./table').then(table => table.put(1n, { id: 5 })).then(() => console.log('put'))`,
  )
  expect(await run(process.execPath, ['user.cjs'])).toBe('put\n')
})

test('the command line is there', async () => {
  const output = await run('npx', ['flashtable', 'verify', 'table', '--json'])
  expect(JSON.parse(output)).toMatchObject({ problems: [], records: 60_001 })
})

test('a table is published to a directory; for S3 the command line says what to install', async () => {
  await flashtable('publish', 'table', 'published')
  expect(await flashtable('verify', 'published')).toContain('60,001 records: no problem')
  expect(await flashtable('count', 'published')).toBe('60001\n')
  for (const command of ['history', 'count'])
    await expect(flashtable(command, 's3://bucket/prefix')).rejects.toMatchObject({
      stderr: expect.stringContaining(
        'MISSING_PACKAGE: s3:// needs the package @aws-sdk/client-s3',
      ) as string,
    })
  await expect(run(process.execPath, ['-e', `import('flashtable/s3')`])).rejects.toMatchObject({
    stderr: expect.stringContaining("Cannot find package '@aws-sdk/client-s3'") as string,
  })
})

test('a format whose package is missing says what to install, and the others work', async () => {
  const cli = (...args: string[]) => flashtable(...args).catch((error: { stderr: string }) => error.stderr)
  for (const [args, missing] of [
    [
      ['export', 'table', 'x.parquet'],
      'MISSING_PACKAGE: Parquet needs the package hyparquet-writer; install it: npm install',
    ],
    [['export', 'table', 'x.arrow'], 'npm install apache-arrow'],
    [['report', 'table', '-o', 'x.html'], 'npm install @observablehq/plot linkedom'],
  ] as const)
    expect(await cli(...args)).toContain(missing)
  expect(await readdir(project)).not.toContain('x.parquet')
  expect(await cli('export', 'table', 'x.npy')).toContain('60,001 records')
  expect(await cli('import', 'x.npy', 'again')).toContain('60,001 records')
  await run('npm', [
    'install',
    '--ignore-scripts',
    '--prefer-offline',
    '--no-audit',
    '--no-fund',
    'apache-arrow',
  ])
  expect(await cli('export', 'table', 'x.arrow')).toContain('60,001 records')
  const program = `import { arrowBatches } from 'flashtable/arrow'
    import { FlashTable } from 'flashtable'
    const table = await FlashTable.open('./table', { readOnly: true })
    let rows = 0
    for await (const batch of arrowBatches(table)) rows += batch.numRows
    console.log(rows)
    await table.close()`
  expect(await run(process.execPath, ['--input-type=module', '-e', program])).toBe('60001\n')
})

testExamples(
  () => project,
  (args, cwd) => run(process.execPath, args, cwd),
)
testGuide(() => project, run)

/** The commands of a document, one after another. */
function commandsOf(document: string): string {
  const blocks = codeOf(readDocument(document)).filter(({ info }) => info === 'sh')
  return blocks.map(({ text }) => text).join('\n')
}

test('the commands of docs/guide/tutorial.md', async () => {
  const folder = join(project, 'tutorial')
  await mkdir(folder)
  const commands = commandsOf('docs/guide/tutorial.md').replace(
    'npm install flashtable',
    `npm install --prefer-offline --ignore-scripts --no-audit --no-fund ${tarball}`,
  )
  const output = await run('bash', ['-euo', 'pipefail', '-c', commands], folder)
  expect(output).toContain(
    [
      `[ { page: 7, ms: 120 }, { page: 8, ms: 95 } ]`,
      `1000 rows by columns`,
      `3 visits from 42 on`,
      `true false`,
      `files: 1, exact: true`,
    ].join('\n'),
  )
})

const NUMPY = spawnSync('python3', ['-c', 'import numpy']).status === 0

test.runIf(NUMPY)(
  `the commands of docs/guide/ways-in-and-out.md${NUMPY ? '' : ' (skipped: no numpy)'}`,
  async () => {
    const folder = join(project, 'guide')
    await mkdir(folder)
    const commands = commandsOf('docs/guide/ways-in-and-out.md').replace(
      'npm install flashtable',
      `npm install --prefer-offline --ignore-scripts --no-audit --no-fund ${tarball}`,
    )
    const npx = `npx() { ${JSON.stringify(join(folder, 'node_modules/.bin'))}/"$@"; }`
    const output = await run('bash', ['-euo', 'pipefail', '-c', `${npx}\n${commands}`], folder)
    expect(output).toContain('120000 records, equal to the first byte')
  },
  120_000,
)

test('strict TypeScript takes right columns and refuses wrong ones', async () => {
  await writeFile(
    join(project, 'user.ts'),
    `import { FlashTable, bytes, struct } from 'flashtable'
     const table = await FlashTable.open('./typed', { keyEncoding: bytes(4), valueEncoding: struct({ id: 'u32' }) })
     await table.putColumns({ key: new Uint8Array(4), id: new Uint32Array(1) })
     const value: { id: number } | undefined = await table.get(new Uint8Array(4))
     // @ts-expect-error a column of another type
     await table.putColumns({ key: new Uint8Array(4), id: new Uint8Array(1) })
     // @ts-expect-error a field that is not there
     await table.put(new Uint8Array(4), { other: 1 })
     export { value }`,
  )
  await writeFile(
    join(project, 'tsconfig.json'),
    JSON.stringify({
      compilerOptions: {
        strict: true,
        noEmit: true,
        target: 'es2022',
        lib: ['es2022', 'esnext.disposable'],
        module: 'nodenext',
        skipLibCheck: false,
        types: ['node'],
        typeRoots: [join(REPOSITORY, 'node_modules/@types')],
      },
      files: ['user.ts'],
    }),
  )
  await run(process.execPath, [join(REPOSITORY, 'node_modules/typescript/bin/tsc'), '-p', '.'])
})

describe("under Node's permission model", () => {
  const [major] = process.versions.node.split('.').map(Number)
  const flag = major! < 23 ? '--experimental-permission' : '--permission'
  const restricted = (flags: readonly string[], body: string): Promise<string> =>
    run(process.execPath, [
      '--no-warnings',
      flag,
      `--allow-fs-read=*`,
      ...flags,
      '--input-type=module',
      '-e',
      `import { FlashTable } from 'flashtable'\n${body}`,
    ])

  test('a table works, syncs and seals without threads, and says so at the open', async () => {
    const output = await restricted(
      [`--allow-fs-write=${project}/*`],
      `process.on('warning', ({ code, message }) => console.log(code, /--allow-worker/.test(message)))
       const table = await FlashTable.open('./restricted', { keyEncoding: 'u32', bufferBytes: 4096 })
       await new Promise(setImmediate)
       console.log('open')
       for (let i = 0; i < 20; i++) await table.putColumns({ key: Uint32Array.from({ length: 500 }, (_, j) => i * 500 + j) })
       await table.put(10000, undefined, { sync: true })
       await table.compact()
       console.log((await table.stats()).records)
       await table.close()`,
    )
    expect(output).toBe('FLASHTABLE_NO_THREADS true\nopen\n10001\n')
  })

  test('an open without permission to write rejects with the flag that is missing, and makes nothing', async () => {
    const output = await restricted(
      [],
      `for (const location of ['./forbidden', './restricted']) {
         const error = await FlashTable.open(location, { keyEncoding: 'u32' }).catch(error => error)
         console.log(error.code, /--allow-fs-write/.test(error.message))
       }
       const table = await FlashTable.open('./restricted', { readOnly: true })
       console.log((await table.stats()).records)
       await table.close()`,
    )
    expect(output).toBe('FLASHTABLE_IO_ERROR true\nFLASHTABLE_IO_ERROR true\n10001\n')
    expect(await readdir(project)).not.toContain('forbidden')
  })
})

/** Makes a table of more than 200 bucket files: its seals run, its merges never end. */
async function makeManyFiles(location: string): Promise<void> {
  const executor = inlineExecutor(nodeFileSystem)
  const run: typeof executor.run = (job, control) =>
    job.files.every(({ memory }) => memory !== undefined)
      ? executor.run(job, control)
      : untilAborted(control.signal!)
  const options = {
    keyEncoding: 'u64',
    syncIntervalMs: Infinity,
    bufferBytes: 1024,
    walBytes: 4096,
    fanout: 64,
  }
  const environment = { ...nodeEnvironment, newExecutor: () => ({ ...executor, run }) }
  const table = await FlashTable.openIn(location, options, environment)
  for (let i = 0; i < 205; i++)
    await table.putColumns({ key: BigUint64Array.from({ length: 128 }, () => BigInt(i)) })
  await allSealed(table)
  await table.close()
}

function untilAborted(signal: AbortSignal): Promise<never> {
  return new Promise((_resolve, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true })
  })
}

// Not from the sources: there each thread opens the files of all modules as it starts.
test('a table of 200 files is opened and compacted by a process that may open 64', async () => {
  const location = join(project, 'many-files')
  await makeManyFiles(location)
  const buckets = async () => (await readdir(location)).filter(name => name.endsWith('.bucket')).length
  expect(await buckets()).toBeGreaterThanOrEqual(200)
  await writeFile(
    join(project, 'few-descriptors.mjs'),
    `import { FlashTable } from 'flashtable'
     const table = await FlashTable.open('./many-files')
     const { files, records } = await table.stats()
     await table.compact()
     await table.close()
     console.log(files.length < 24, records)`,
  )
  // One file: the modules of a package are opened many at a time.
  await build({
    absWorkingDir: project,
    entryPoints: ['few-descriptors.mjs'],
    outfile: join(project, 'one-file.mjs'),
    bundle: true,
    platform: 'node',
    format: 'esm',
    external: ['fs-ext'],
  })
  const command = `ulimit -n 64; exec "$0" one-file.mjs`
  expect(await run('sh', ['-c', command, process.execPath])).toBe(`true ${205 * 128}\n`)
  expect(await buckets()).toBe(1)
})
