/** Runs statements of SQL in a database file of DuckDB: `duckdb-query.js FILE SQL...`. */
import { DuckDBInstance } from '@duckdb/node-api'

const [file, ...statements] = process.argv.slice(2)
const instance = await DuckDBInstance.create(file)
const connection = await instance.connect()
for (const statement of statements) await connection.run(statement)
connection.closeSync()
instance.closeSync()
