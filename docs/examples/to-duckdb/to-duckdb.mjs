// A table becomes a Parquet file, and DuckDB answers questions about it in SQL.
//
//   npm install hyparquet-writer @duckdb/node-api
//   node to-duckdb.mjs [TABLE]   without a table: one that it makes
import { execFile } from 'node:child_process'
import { rm } from 'node:fs/promises'
import process from 'node:process'
import { promisify } from 'node:util'
import { FlashTable, struct } from 'flashtable'

const PACKAGES = ['hyparquet-writer', '@duckdb/node-api']

/** Those that are not installed. */
async function missingPackages() {
  const found = await Promise.all(
    PACKAGES.map(name =>
      import(name).then(
        () => true,
        () => false,
      ),
    ),
  )
  return PACKAGES.filter((_, i) => !found[i])
}

/** 100,000 visits of 100 pages; the key is the visitor. */
async function makeTable(location) {
  await rm(location, { recursive: true, force: true })
  const rows = 100_000
  const table = await FlashTable.open(location, {
    keyEncoding: 'u64',
    valueEncoding: struct({ page: 'u16', ms: 'f32' }),
  })
  await table.putColumns({
    key: BigUint64Array.from({ length: rows }, (_, i) => BigInt((i * 7919) % 5000)),
    page: Uint16Array.from({ length: rows }, (_, i) => i % 100),
    ms: Float32Array.from({ length: rows }, (_, i) => (i % 100) * 2 + (i % 7)),
  })
  await table.close()
}

async function query(sql) {
  const { DuckDBInstance } = await import('@duckdb/node-api')
  const connection = await (await DuckDBInstance.create()).connect()
  const answer = await connection.runAndReadAll(sql)
  return answer.getRowObjectsJson()
}

const missing = await missingPackages()
if (missing.length > 0) {
  console.log(`skipped: this example needs npm install ${missing.join(' ')}`)
} else {
  const location = process.argv[2] ?? './visits'
  if (process.argv[2] === undefined) await makeTable(location)
  await rm('table.parquet', { force: true })
  // The command line writes the file: whole, or not at all, in little memory. It may run beside a writer.
  await promisify(execFile)('npx', ['flashtable', 'export', location, 'table.parquet'])
  const [{ records, keys }] = await query(
    `select count(*) as records, count(distinct key) as keys from 'table.parquet'`,
  )
  console.log(`${records} records of ${keys} keys`)
  if (process.argv[2] === undefined) {
    const slowest = await query(
      `select page, count(*) as visits, round(avg(ms), 1) as ms from 'table.parquet' group by page order by ms desc limit 2`,
    )
    for (const { page, visits, ms } of slowest)
      console.log(`page ${page}: ${visits} visits, ${ms} ms on average`)
  }
}
