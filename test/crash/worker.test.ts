/**
 * Compaction threads that cannot start, throw, or die: the table says so and loses nothing, and no thread keeps a
 * process alive.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { cp, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { Worker } from 'node:worker_threads'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { workerExecutor } from '../../src/executor/worker-executor.js'
import { WorkerPool } from '../../src/executor/worker-pool.js'
import { FlashTable, FlashTableError } from '../../src/index.js'
import type { CompactionJob } from '../../src/jobs/job.js'
import { nodeEnvironment, type Environment } from '../../src/table/environment.js'
import { stateText, type CrashRecord } from './history.js'
import { OPTIONS, columnsOf, contents, type CrashTable } from './table.js'

const SOURCE = new URL('../../src', import.meta.url).href

let root = ''
/** A table of a process that ended without closing it, with these records in its log. */
let unclean = ''
const LEFT = records(0, 70)
beforeAll(async () => {
  unclean = await mkdtemp(join(tmpdir(), 'flashtable-unclean-'))
  await run(
    `const table = await FlashTable.open(${JSON.stringify(unclean)}, options)
     for (const { key, time, id } of ${JSON.stringify(LEFT)}) await table.put(key, { time, id })
     process.exit()`,
  )
})
afterAll(() => rm(unclean, { recursive: true }))
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'flashtable-worker-'))
})
afterEach(() => rm(root, { recursive: true }))

/** A thread with this script. */
const script = (body: string): URL =>
  new URL(
    `data:text/javascript,${encodeURIComponent(`import { parentPort } from 'node:worker_threads'\n${body}\nparentPort.postMessage({ kind: 'begun' })`)}`,
  )

const ABSENT_WORKERS: readonly (readonly [string, () => Worker])[] = [
  ['cannot be loaded', () => new Worker(new URL('file:///nowhere/worker.js'), { execArgv: [] })],
  ['throws at its start', () => new Worker(script(`throw new Error('no luck today')`), { execArgv: [] })],
  ['ends at its start', () => new Worker(script(`process.exit(7)`), { execArgv: [] })],
  [
    'may not be made',
    () => {
      throw Object.assign(new Error('Access to this API has been restricted'), { code: 'ERR_ACCESS_DENIED' })
    },
  ],
]

/** Threads that have begun, and come to nothing. */
const BROKEN_WORKERS: readonly (readonly [string, URL, RegExp])[] = [
  [
    'throws while it runs a job',
    script(`parentPort.on('message', () => { throw new Error('out of luck') })`),
    /out of luck/,
  ],
  ['ends while it runs a job', script(`parentPort.on('message', () => process.exit(3))`), /exit code 3/],
  [
    'reports a failure',
    script(
      `parentPort.on('message', () => parentPort.postMessage({ kind: 'failed', failure: ` +
        `{ ours: false, code: 'EIO', message: 'EIO: i/o error, read' } }))`,
    ),
    /EIO/,
  ],
]

const executorOf = (url: URL) =>
  workerExecutor(new WorkerPool({ startWorker: () => new Worker(url, { execArgv: [] }) }))

async function openWith(
  location: string,
  executor?: () => ReturnType<typeof workerExecutor>,
): Promise<CrashTable> {
  const environment: Environment = { ...nodeEnvironment, ...(executor && { newExecutor: executor }) }
  return (await FlashTable.openIn(location, OPTIONS, environment)) as unknown as CrashTable
}

function records(from: number, count: number): CrashRecord[] {
  return Array.from({ length: count }, (_, i) => ({ key: (from + i) * 31, time: from + i, id: from + i }))
}

/** Messages of an error and of what caused it. */
function reasons(error: unknown): string {
  return error instanceof Error ? `${error.message} < ${reasons(error.cause)}` : ''
}

async function failureOf(promise: Promise<unknown>): Promise<FlashTableError> {
  const error: unknown = await promise.then(
    () => undefined,
    (error: unknown) => error,
  )
  if (error instanceof FlashTableError) return error
  throw new Error(`expected a FlashTableError, found ${String(error)}`, { cause: error })
}

describe.each(ABSENT_WORKERS)('where a thread %s', (_name, startWorker) => {
  test('the table seals, merges and recovers on the calling thread', async () => {
    const executor = () => workerExecutor(new WorkerPool({ startWorker }))
    const location = join(root, 'table')
    const table = await openWith(location, executor)
    const rows = records(0, 600)
    for (let from = 0; from < rows.length; from += 60) {
      await table.putColumns(columnsOf(rows.slice(from, from + 60)))
    }
    await table.compact()
    expect((await table.stats()).files.length).toBe(1)
    expect(await contents(table)).toBe(stateText(rows))
    await table.close()
    await cp(unclean, join(root, 'unclean'), { recursive: true })
    const recovered = await openWith(join(root, 'unclean'), executor)
    expect(await contents(recovered)).toBe(stateText(LEFT))
    await recovered.close()
  })

  test('a bulk load is made on the calling thread', async () => {
    const executor = () => workerExecutor(new WorkerPool({ startWorker }))
    const environment: Environment = { ...nodeEnvironment, newExecutor: executor }
    const rows = records(0, 600)
    const source = [columnsOf(rows.slice(0, 300)), columnsOf(rows.slice(300))]
    const options = { ...OPTIONS, memoryBytes: 0 }
    const loaded = await FlashTable.bulkLoadIn(join(root, 'loaded'), options, source, environment)
    expect(await contents(loaded as unknown as CrashTable)).toBe(stateText(rows))
    await loaded.close()
  })
})

test('that there are no threads is told once in a process', async () => {
  const output = await run(
    `process.on('warning', ({ name, code, message }) => console.log(name, code, /no threads here/.test(message)))
     const startWorker = () => { throw new Error('no threads here') }
     const newExecutor = () => workerExecutor(new WorkerPool({ startWorker }))
     for (const name of ['one', 'other']) {
       const location = ${JSON.stringify(root)} + '/' + name
       const table = await FlashTable.openIn(location, options, { ...nodeEnvironment, newExecutor })
       for (let i = 0; i < 200; i++) await table.put(i, { time: i, id: i })
       await table.compact()
       await table.close()
     }`,
  )
  expect(output).toBe('FlashTableWarning FLASHTABLE_NO_THREADS true\n')
})

describe.each(BROKEN_WORKERS)('a thread that %s', (_name, url, reason) => {
  test('poisons the table with the reason; reads go on, nothing is lost, the next open goes on', async () => {
    const location = join(root, 'table')
    const table = await openWith(location, () => executorOf(url))
    const acknowledged: CrashRecord[] = []
    let failure: unknown
    for (let from = 0; from < 1000 && failure === undefined; from += 60) {
      const rows = records(from, 60)
      failure = await table.putColumns(columnsOf(rows)).then(
        () => void acknowledged.push(...rows),
        (error: unknown) => error,
      )
    }
    expect(failure).toMatchObject({ code: 'FLASHTABLE_POISONED' })
    expect(reasons(failure)).toMatch(reason)
    expect(reasons(await failureOf(table.compact()))).toMatch(reason)
    expect(await contents(table)).toBe(stateText(acknowledged))
    expect(reasons(await failureOf(table.close()))).toMatch(reason)
    const again = await openWith(location)
    const found = await contents(again)
    expect(found.startsWith(stateText(acknowledged))).toBe(true)
    await again.compact()
    expect(await contents(again)).toBe(found)
    await again.close()
  })

  test('fails an open that has a log to write, and leaves all of it, and no lock', async () => {
    const location = join(root, 'table')
    await cp(unclean, location, { recursive: true })
    const failure = await failureOf(openWith(location, () => executorOf(url)))
    expect(failure.code).toBe('FLASHTABLE_IO_ERROR')
    expect(reasons(failure)).toMatch(reason)
    const again = await openWith(location)
    expect(await contents(again)).toBe(stateText(LEFT))
    await again.close()
  })
})

test('a thread that has died between two jobs is not waited for', async () => {
  const executor = executorOf(
    script(
      `parentPort.on('message', () => {
        parentPort.postMessage({ kind: 'done', result: { entry: undefined, bytesWritten: 0, operationsRead: 0 } })
        process.exit()
      })`,
    ),
  )
  let done = 0
  for (let i = 0; i < 5; i++) {
    // In the moment between its answer and its end a job may still be given to it: then that job fails.
    const outcome = await executor
      .run({ files: [] as unknown } as CompactionJob, {})
      .catch((error: Error) => error)
    if (!(outcome instanceof Error)) done++
    else expect(outcome.message).toMatch(/exit code/)
    // Enough turns for its end to become known.
    for (let turn = 0; turn < 3000; turn++) await new Promise(resolve => void setImmediate(resolve))
  }
  expect(done).toBeGreaterThan(0)
  await executor.close()
})

/** Runs a script in a process of its own until it ends. Resolves to what it printed. */
async function run(body: string): Promise<string> {
  const child = spawn(
    process.execPath,
    [
      '--import',
      'tsx',
      '--input-type=module',
      '-e',
      `import { FlashTable, struct } from ${JSON.stringify(`${SOURCE}/index.ts`)}
       import { nodeEnvironment } from ${JSON.stringify(`${SOURCE}/table/environment.ts`)}
       import { workerExecutor } from ${JSON.stringify(`${SOURCE}/executor/worker-executor.ts`)}
       import { WorkerPool } from ${JSON.stringify(`${SOURCE}/executor/worker-pool.ts`)}
       const options = { keyEncoding: 'u64', valueEncoding: struct({ time: 'u16', id: 'i32' }), bufferBytes: 1024,
         walBytes: 8192, fanout: 2 }
       ${body}`,
    ],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  )
  const [output, [code]] = await Promise.all([text(child.stdout), once(child, 'exit')])
  expect(code).toBe(0)
  return output
}

describe('a process', () => {
  const put = `const table = await FlashTable.open(LOCATION, options)
    for (let i = 0; i < 1000; i++) await table.put(i, { time: i, id: i })`

  test('ends by itself once the table is closed', async () => {
    const location = JSON.stringify(join(root, 'table'))
    const output = await run(
      `${put}; await table.compact(); await table.close(); console.log('closed')`.replaceAll(
        'LOCATION',
        location,
      ),
    )
    expect(output).toBe('closed\n')
  })

  test('ends by itself though the table was never closed, and what was put is found', async () => {
    const location = join(root, 'table')
    const output = await run(`${put}; console.log('put')`.replaceAll('LOCATION', JSON.stringify(location)))
    expect(output).toBe('put\n')
    const table = await openWith(location)
    expect(await table.count(999)).toBe(1)
    expect((await contents(table)).split(' ').length).toBe(1000)
    await table.close()
  })
})
