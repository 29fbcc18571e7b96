/** Counting by the peers: each adds 1 to the number of each key, in the way that suits it best. */
import { Skipped, type StoreName } from '../workload.js'
import { importPeer } from './import-peer.js'
import { keyBytes } from './store.js'

export interface Counter {
  /** Adds 1 to the number of each key; on the device when it resolves. */
  add(keys: BigUint64Array): void | Promise<void>
  get(key: bigint): number | Promise<number>
  close(): void | Promise<void>
}

export function openCounter(store: StoreName, directory: string): Promise<Counter> {
  if (store === 'rocksdb') return openRocksdb(directory)
  if (store === 'lmdb') return openLmdb(directory)
  if (store === 'sqlite') return openSqlite(directory)
  throw new Skipped(`${store} counts nothing here`)
}

interface RocksBatch {
  _merge(key: Buffer, value: Buffer, options: object): void
  write(options: { sync: boolean }): Promise<void>
}

interface Rocks {
  open(): Promise<void>
  batch(): RocksBatch
  get(key: Buffer): Promise<Buffer | undefined>
  close(): Promise<void>
}

/** By the merge operator of RocksDB for 64-bit sums. */
async function openRocksdb(directory: string): Promise<Counter> {
  type RocksClass = new (directory: string, options: object) => Rocks
  const { module } = await importPeer<{ RocksLevel: RocksClass }>('@nxtedition/rocksdb')
  const options = { keyEncoding: 'buffer', valueEncoding: 'buffer', mergeOperator: 'uint64add' }
  const db = new module.RocksLevel(`${directory}/rocksdb`, options)
  await db.open()
  const one = Buffer.alloc(8)
  one.writeBigUInt64LE(1n)
  return {
    async add(keys) {
      const batch = db.batch()
      for (const key of keys) batch._merge(keyBytes(key), one, {})
      await batch.write({ sync: true })
    },
    get: async key => Number((await db.get(keyBytes(key)))!.readBigUInt64LE()),
    close: () => db.close(),
  }
}

interface Lmdb {
  putSync(key: Buffer, value: Buffer): void
  transactionSync(action: () => void): void
  getBinaryFast(key: Buffer): Buffer | undefined
  close(): Promise<void>
}

/** LMDB has no sums: each number is read and written. */
async function openLmdb(directory: string): Promise<Counter> {
  const { module } = await importPeer<{ open(options: object): Lmdb }>('lmdb')
  const db = module.open({ path: `${directory}/lmdb`, encoding: 'binary', keyEncoding: 'binary' })
  const scratch = keyBytes(0n)
  const read = (key: bigint): number => db.getBinaryFast(keyBytes(key, scratch))?.readUInt32LE() ?? 0
  return {
    add(keys) {
      db.transactionSync(() => {
        for (const key of keys) {
          const value = Buffer.allocUnsafe(4)
          value.writeUInt32LE(read(key) + 1)
          db.putSync(keyBytes(key), value)
        }
      })
    },
    get: read,
    close: () => db.close(),
  }
}

interface Sqlite {
  pragma(text: string): unknown
  exec(text: string): void
  prepare(text: string): { run(...values: unknown[]): unknown; get(...values: unknown[]): unknown }
  transaction(action: (keys: BigUint64Array) => void): (keys: BigUint64Array) => void
  close(): void
}

async function openSqlite(directory: string): Promise<Counter> {
  type SqliteClass = new (file: string) => Sqlite
  const { module } = await importPeer<{ default: SqliteClass }>('better-sqlite3')
  const db = new module.default(`${directory}/counts.sqlite`)
  db.pragma('journal_mode = WAL')
  db.pragma('synchronous = FULL')
  db.exec('create table counts (key integer primary key, count integer not null)')
  const upsert = db.prepare(
    'insert into counts values (?, 1) on conflict (key) do update set count = count + 1',
  )
  const select = db.prepare('select count from counts where key = ?')
  // SQLite's integers are signed.
  const signed = (key: bigint): bigint => BigInt.asIntN(64, key)
  const add = db.transaction(keys => {
    for (const key of keys) upsert.run(signed(key))
  })
  return {
    add,
    get: key => (select.get(signed(key)) as { count: number }).count,
    close: () => db.close(),
  }
}
