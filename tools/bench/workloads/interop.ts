/** Tables out to the formats of others, and in again, by the command line; beside DuckDB where it does the same. */
import { execFileSync } from 'node:child_process'
import { copyFileSync, rmSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { join } from 'node:path'
import { measuredNode, type Taken } from '../measured-process.js'
import { ROOT } from '../paths.js'
import { bulkLoadRandom, tableDirectory } from '../table.js'
import { seconds } from '../timing.js'
import type { Figures, Workload } from '../workload.js'

const FORMATS = ['npy', 'csv', 'jsonl', 'parquet', 'arrow'] as const
const SCHEMA = ['--schema', 'key:u64,time:u16,flags:u16,id:i32']
const root = fileURLToPath(ROOT)
const CLI = join(root, 'dist/tools/cli/main.js')
const DUCKDB = fileURLToPath(new URL('../duckdb-query.js', import.meta.url))
const DUCKDB_TYPES = "{'key': 'UBIGINT', 'time': 'USMALLINT', 'flags': 'USMALLINT', 'id': 'INTEGER'}"

const MOST_MIB = 300

export const interop: Workload = {
  name: 'interop',
  sentence:
    'Random records are exported to a file of each format, and each file is imported into a new table: `flashtable export` and `import`, whole processes. DuckDB copies its own table of the same records to CSV, JSON lines and Parquet, and makes tables of them.',
  stores: ['flashtable', 'duckdb'],
  records: 30_000_000,
  figures: {
    npyOut: { unit: 'records/s out to npy', better: 'more', target: 10_000_000 },
    npyIn: { unit: 'records/s in from npy', better: 'more' },
    npyInShare: { unit: 'time in from npy / by bulkLoad', better: 'less', target: 1.2 },
    csvOut: { unit: 'records/s out to CSV', better: 'more', target: 2_000_000 },
    csvIn: { unit: 'records/s in from CSV', better: 'more', target: 1_000_000 },
    jsonlOut: { unit: 'records/s out to JSON lines', better: 'more' },
    jsonlIn: { unit: 'records/s in from JSON lines', better: 'more' },
    parquetOut: { unit: 'records/s out to Parquet', better: 'more', target: 2_000_000 },
    parquetIn: { unit: 'records/s in from Parquet', better: 'more', target: 2_000_000 },
    arrowOut: { unit: 'records/s out to Arrow', better: 'more', target: 8_000_000 },
    arrowIn: { unit: 'records/s in from Arrow', better: 'more' },
    copyShare: { unit: 'time out to npy / time of copying that file', better: 'less' },
    ...Object.fromEntries(
      FORMATS.flatMap(format => [
        [
          `${format}OutMiB`,
          { unit: `MiB, the most memory, out to ${format}`, better: 'less', target: MOST_MIB } as const,
        ],
        [
          `${format}InMiB`,
          { unit: `MiB, the most memory, in from ${format}`, better: 'less', target: MOST_MIB } as const,
        ],
      ]),
    ),
  },
  async run({ directory, store, records }) {
    return store === 'duckdb' ? runDuckDb(directory, records) : runFlashTable(directory, records)
  },
}

async function runFlashTable(directory: string, records: number): Promise<Figures> {
  execFileSync('npm', ['run', '--silent', 'build'], { cwd: root, stdio: ['ignore', 2, 2] })
  const bulkLoadSeconds = await seconds(async () => (await bulkLoadRandom(directory, records)).close())
  const figures: Figures = {}
  for (const format of FORMATS) {
    const file = join(directory, `records.${format}`)
    const into = join(directory, 'imported')
    const out = await measuredNode(CLI, ['export', tableDirectory(directory), file], root)
    const schema = format === 'csv' || format === 'jsonl' ? SCHEMA : []
    const back = await measuredNode(CLI, ['import', file, into, ...schema], root)
    add(figures, format, records, out, back)
    if (format === 'npy') {
      figures['npyInShare'] = back.seconds / bulkLoadSeconds
      figures['copyShare'] = out.seconds / (await seconds(() => copyFileSync(file, `${file}.copy`)))
    }
    rmSync(into, { recursive: true })
    rmSync(file)
    rmSync(`${file}.copy`, { force: true })
  }
  return figures
}

async function runDuckDb(directory: string, records: number): Promise<Figures> {
  const query = (...statements: string[]): Promise<Taken> =>
    measuredNode(DUCKDB, [join(directory, 'duck.db'), ...statements], root)
  // The same sizes and ranges: its numbers are not ours.
  await query(
    `create table records as select hash(i) as key, (i % 65536)::usmallint as time, 0::usmallint as flags, i::integer as id from range(${records}) t(i) order by key`,
  )
  const figures: Figures = {}
  for (const [format, options, reader] of [
    ['csv', '(header)', `read_csv('%', types = ${DUCKDB_TYPES})`],
    ['jsonl', '(format json)', `read_json('%', columns = ${DUCKDB_TYPES})`],
    ['parquet', '(format parquet)', `'%'`],
  ] as const) {
    const file = join(directory, `records.${format}`)
    const out = await query(`copy records to '${file}' ${options}`)
    const back = await query(`create table again as select * from ${reader.replace('%', file)}`)
    add(figures, format, records, out, back)
    await query('drop table again')
    rmSync(file)
  }
  return figures
}

function add(figures: Figures, format: string, records: number, out: Taken, back: Taken): void {
  figures[`${format}Out`] = records / out.seconds
  figures[`${format}In`] = records / back.seconds
  figures[`${format}OutMiB`] = out.peakMiB
  figures[`${format}InMiB`] = back.peakMiB
}
