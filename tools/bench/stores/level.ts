/**
 * LevelDB (classic-level) and RocksDB (@nxtedition/rocksdb), which share an interface.
 *
 * Keys are unique in the workloads, so a key is 8 bytes: a multimap would need more, and be slower.
 */
import type { Records } from '../records.js'
import { importPeer } from './import-peer.js'
import { keyBytes, parseValue, valueBytes, type Store } from './store.js'

interface LevelBatch {
  put(key: Buffer, value: Buffer): unknown
  write(options: { sync: boolean }): Promise<void>
}

interface Level {
  open(): Promise<void>
  batch(): LevelBatch
  put(key: Buffer, value: Buffer): Promise<void>
  get(key: Buffer): Promise<Buffer | undefined>
  getSync(key: Buffer): Buffer | undefined
  iterator(): { nextv(size: number): Promise<unknown[]>; close(): Promise<void> }
  close(): Promise<void>
}

type LevelClass = new (directory: string, options: object) => Level

const BINARY = { keyEncoding: 'buffer', valueEncoding: 'buffer' }

export async function openLeveldb(directory: string): Promise<Store> {
  const { module, version } = await importPeer<{ ClassicLevel: LevelClass }>('classic-level')
  return store(new module.ClassicLevel(`${directory}/leveldb`, BINARY), version, true)
}

export async function openRocksdb(directory: string): Promise<Store> {
  const { module, version } = await importPeer<{ RocksLevel: LevelClass }>('@nxtedition/rocksdb')
  const Rocks = module.RocksLevel
  return store(new Rocks(`${directory}/rocksdb`, BINARY), version, false)
}

async function store(db: Level, version: string, hasGetSync: boolean): Promise<Store> {
  await db.open()
  return {
    version,
    async load({ key, time, id }: Records) {
      const batch = db.batch()
      for (let row = 0; row < key.length; row++) {
        batch.put(keyBytes(key[row]!), valueBytes(time[row]!, id[row]!))
      }
      await batch.write({ sync: true })
    },
    put: (key, { time, id }) => db.put(keyBytes(key), valueBytes(time, id)),
    get: hasGetSync
      ? key => parseValue(db.getSync(keyBytes(key)))
      : key => db.get(keyBytes(key)).then(parseValue, undefinedWhereMissing),
    async scan() {
      const iterator = db.iterator()
      let count = 0
      for (;;) {
        const entries = await iterator.nextv(1000)
        count += entries.length
        if (entries.length === 0) break
      }
      await iterator.close()
      return count
    },
    close: () => db.close(),
  }
}

/** RocksDB's binding rejects where LevelDB's gives `undefined`. */
function undefinedWhereMissing(error: unknown): undefined {
  if (error instanceof Error && /not.?found/i.test(error.message)) return undefined
  throw error
}
