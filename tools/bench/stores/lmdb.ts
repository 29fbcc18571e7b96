/** LMDB (lmdb-js) with dupSort: a multimap, as flashtable is. */
import type { Records } from '../records.js'
import { importPeer } from './import-peer.js'
import { keyBytes, parseValue, valueBytes, type Store } from './store.js'

interface Lmdb {
  put(key: Buffer, value: Buffer): Promise<boolean>
  putSync(key: Buffer, value: Buffer): void
  transactionSync(action: () => void): void
  get(key: Buffer): Buffer | undefined
  getRange(options: object): Iterable<{ value: Buffer }>
  close(): Promise<void>
}

export async function openLmdb(directory: string): Promise<Store> {
  const { module, version } = await importPeer<{ open(options: object): Lmdb }>('lmdb')
  const db = module.open({
    path: `${directory}/lmdb`,
    dupSort: true,
    encoding: 'binary',
    keyEncoding: 'binary',
    compression: false,
  })
  return {
    version,
    // A commit of LMDB is on the device.
    load({ key, time, id }: Records) {
      db.transactionSync(() => {
        for (let row = 0; row < key.length; row++) {
          db.putSync(keyBytes(key[row]!), valueBytes(time[row]!, id[row]!))
        }
      })
    },
    put: async (key, { time, id }) => void (await db.put(keyBytes(key), valueBytes(time, id))),
    get: key => parseValue(db.get(keyBytes(key))),
    scan() {
      let count = 0
      for (const { value } of db.getRange({})) count += value.length === 8 ? 1 : 0
      return count
    },
    close: () => db.close(),
  }
}
