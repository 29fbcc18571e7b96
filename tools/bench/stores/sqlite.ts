/**
 * SQLite (better-sqlite3): a table without row ids that is its own primary key.
 *
 * A batch is a transaction with `synchronous = FULL`, on the device when it ends; single puts run with NORMAL, which
 * survives the end of the process, as a put of flashtable does.
 */
import type { Records } from '../records.js'
import { importPeer } from './import-peer.js'
import type { Found, Store } from './store.js'

interface Statement {
  run(...values: unknown[]): unknown
  get(...values: unknown[]): Found | undefined
  iterate(): Iterable<unknown>
}

interface Sqlite {
  pragma(text: string): unknown
  exec(text: string): void
  prepare(text: string): Statement
  transaction(action: (records: Records) => void): (records: Records) => void
  close(): void
}

export async function openSqlite(directory: string): Promise<Store> {
  type SqliteClass = new (file: string) => Sqlite
  const { module, version } = await importPeer<{ default: SqliteClass }>('better-sqlite3')
  const db = new module.default(`${directory}/records.sqlite`)
  db.pragma('journal_mode = WAL')
  db.pragma('synchronous = NORMAL')
  db.exec(
    'create table records (key integer, time integer, flags integer, id integer, primary key (key, time, id)) without rowid',
  )
  const insert = db.prepare('insert into records values (?, ?, 0, ?)')
  const select = db.prepare('select time, flags, id from records where key = ?')
  const load = db.transaction(({ key, time, id }) => {
    for (let row = 0; row < key.length; row++) insert.run(signed(key[row]!), time[row]!, id[row]!)
  })
  return {
    version,
    load(records) {
      db.pragma('synchronous = FULL')
      load(records)
      db.pragma('synchronous = NORMAL')
    },
    put: (key, { time, id }) => void insert.run(signed(key), time, id),
    get: key => select.get(signed(key)),
    scan() {
      let count = 0
      for (const _ of db.prepare('select * from records order by key').iterate()) count++
      return count
    },
    close: () => db.close(),
  }
}

/** SQLite's integers are signed. */
function signed(key: bigint): bigint {
  return BigInt.asIntN(64, key)
}
