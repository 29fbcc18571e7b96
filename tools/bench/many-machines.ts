/**
 * One table with partitions in a real object store, Ceph on this machine, and three processes that read it:
 * `npm --prefix tools/bench run many-machines`. docs/benchmarks.md, Many machines.
 */
import { fork } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3'
import Table from 'cli-table3'
import { Command } from 'commander'
import { PartitionedTable } from '../../src/index.js'
import { s3Store } from '../../src/s3.js'
import { startCeph } from './many-machines/ceph.js'
import { countedStore } from './many-machines/counted-store.js'
import { keysAt, type ReaderFigures, type ReaderTask } from './many-machines/keys.js'
import { median } from './timing.js'

interface Options {
  readonly records: string
  readonly partitions: string
  readonly readers: string
  readonly json?: string
  readonly dir: string
}

const READER = fileURLToPath(new URL('many-machines/reader.ts', import.meta.url))
const BATCH = 2 ** 16
const LAG_ROUNDS = 7
const LOCAL_HITS = 100_000
const BUCKET = 'bench'

async function main(options: Options): Promise<void> {
  const [records, partitions] = [Number(options.records), Number(options.partitions)]
  const base = mkdtempSync(join(resolve(options.dir), 'flashtable-many-'))
  const s3 = await startCeph()
  try {
    const client = new S3Client({ ...s3.options, forcePathStyle: true })
    await client.send(new CreateBucketCommand({ Bucket: BUCKET }))
    client.destroy()
    const { store, counts } = countedStore(s3Store(`s3://${BUCKET}/table`, s3.options))
    const table = await PartitionedTable.open(store, {
      partitions,
      write: 'all',
      directory: join(base, 'writer'),
      keyEncoding: 'u64',
      valueEncoding: 'u64',
    })
    const ingest = await timed(() => put(table, 0, records))
    const before = { ...counts }
    const publish = await timed(() => table.publish())
    const published = difference(before, counts)
    const { fileBytes, files } = await table.stats()
    const local = await timed(() => table.getColumns(keysAt(1, LOCAL_HITS, records)))
    const task: ReaderTask = { url: `s3://${BUCKET}/table`, options: s3.options, records, seed: 2 }
    const readers = await Promise.all(
      Array.from({ length: Number(options.readers) }, (_, i) => runReader({ ...task, seed: 2 + i })),
    )
    const lag = await measureLag(table, { ...task, seed: 1 }, records)
    // An upload is one call of the store, whatever it is made of.
    const puts = published['put'] ?? 0
    if (puts > files + partitions || (published['swap'] ?? 0) > partitions || (published['list'] ?? 0) > 0)
      throw new Error(
        `the publish has asked for more than its files and one swap each: ${JSON.stringify(published)}`,
      )
    const rows: [string, string][] = [
      ['records, partitions', `${records / 1e6} M, ${partitions}`],
      [
        'ingest, M records/s (processor s a M)',
        `${perSecond(records, ingest)} (${((ingest.cpuMs / records) * 1e3).toFixed(2)})`,
      ],
      [
        'publish: s, MB/s, files',
        `${(publish.ms / 1000).toFixed(1)}, ${(fileBytes / publish.ms / 1000).toFixed(0)}, ${files}`,
      ],
      ['its calls of the store', JSON.stringify(published)],
      ['bytes a record', (fileBytes / records).toFixed(2)],
      ['put, publish, refresh elsewhere: median ms of 7', lag.toFixed(0)],
      ['hits by getColumns where it is written, /s', ((LOCAL_HITS / local.ms) * 1000).toFixed(0)],
      ...readerRows(readers),
    ]
    const printed = new Table({ head: ['', ''], style: { head: [] } })
    printed.push(...rows)
    process.stdout.write(`${printed.toString()}\n`)
    if (options.json !== undefined)
      writeFileSync(options.json, `${JSON.stringify({ node: process.version, rows, readers }, null, 2)}\n`)
    await table.close()
    await store.close()
  } finally {
    await s3.stop()
    rmSync(base, { recursive: true, force: true })
  }
}

function readerRows(readers: readonly ReaderFigures[]): [string, string][] {
  const each = (value: (figures: ReaderFigures) => number): string =>
    readers.map(figures => value(figures).toFixed(value(figures) < 10 ? 2 : 0)).join(', ')
  return [
    [`${readers.length} readers at once: open, ms`, each(f => f.openMs)],
    ['requests of an open', each(f => f.openRequests)],
    ['hits one by one, cold, /s', each(f => f.coldOneByOne)],
    ['hits 32 at once, cold, /s', each(f => f.coldAtOnce)],
    ['requests a hit, cold', each(f => f.requestsCold)],
    ['hits by getColumns, cold, /s', each(f => f.coldColumns)],
    ['hits one by one, from the disk cache, /s', each(f => f.diskOneByOne)],
    ['hits one by one, from memory, /s', each(f => f.warmOneByOne)],
    ['requests a hit, cached', each(f => f.requestsWarm)],
    ['processor ms a cold hit, 32 at once', each(f => f.cpuMsCold)],
  ]
}

async function put(table: Prints, from: number, to: number): Promise<void> {
  for (let at = from; at < to; at += BATCH) {
    const key = keysAt(0, Math.min(BATCH, to - at), Infinity, at)
    await table.putColumns({ key, value: key })
    if ((at / BATCH) % 160 === 0 && process.stderr.isTTY)
      process.stderr.write(`\r${(at / 1e6).toFixed(0)} M records`)
  }
}

/** From a put to a reader that sees it. */
async function measureLag(table: Prints, task: ReaderTask, records: number): Promise<number> {
  const reader = await PartitionedTable.open(s3Store(task.url, task.options), { refreshInterval: Infinity })
  const times: number[] = []
  for (let round = 0; round < LAG_ROUNDS; round++) {
    const startMs = performance.now()
    const at = records + round * 100
    await put(table, at, at + 100)
    const { versions } = await table.publish()
    await reader.refresh({ atLeast: versions })
    if (!(await reader.has(keysAt(0, 1, Infinity, at)[0] as never)))
      throw new Error('the reader does not see it')
    times.push(performance.now() - startMs)
  }
  await reader.close()
  return median(times)
}

function runReader(task: ReaderTask): Promise<ReaderFigures> {
  return new Promise((resolve, reject) => {
    const child = fork(READER, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
    let figures: ReaderFigures | undefined
    child.on('message', message => (figures = message as ReaderFigures))
    child.on('error', reject)
    child.on('exit', code =>
      figures === undefined ? reject(new Error(`a reader has ended with ${code}`)) : resolve(figures),
    )
    child.send(task)
  })
}

async function timed(
  action: () => Promise<unknown>,
): Promise<{ readonly ms: number; readonly cpuMs: number }> {
  const [startMs, cpu] = [performance.now(), process.cpuUsage()]
  await action()
  const { user, system } = process.cpuUsage(cpu)
  return { ms: performance.now() - startMs, cpuMs: (user + system) / 1000 }
}

function perSecond(count: number, { ms }: { readonly ms: number }): string {
  return (count / ms / 1000).toFixed(2)
}

function difference(before: Counts, after: Counts): Counts {
  const names = Object.keys(after).filter(name => after[name] !== before[name])
  return Object.fromEntries(names.map(name => [name, after[name]! - (before[name] ?? 0)]))
}

type Prints = PartitionedTable<'u64', 'u64'>
type Counts = Readonly<Record<string, number>>

await new Command()
  .option('--records <count>', 'records', '100e6')
  .option('--partitions <count>', 'partitions', '4')
  .option('--readers <count>', 'reader processes', '3')
  .option('--json <file>', 'save the figures')
  .option('--dir <directory>', 'where the writer has its files', tmpdir())
  .action(main)
  .parseAsync()
