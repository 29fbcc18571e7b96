/** LMDB (lmdb-js) with dupSort: a multimap, as flashtable is. */
import type { Records } from '../records.js'
import { importPeer } from './import-peer.js'
import { keyBytes, parseValue, valueBytes, type Store } from './store.js'

interface Lmdb {
  put(key: Buffer, value: Buffer): Promise<boolean>
  putSync(key: Buffer, value: Buffer): void
  transactionSync(action: () => void): void
  /** The value in a buffer that the next call uses again. */
  getBinaryFast(key: Buffer): Buffer | undefined
  getRange(options: object): Iterable<{ key: Buffer; value: Buffer }>
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
  const scratch = keyBytes(0n)
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
    // The fastest way: the key is written where the last one was, and the value is parsed where LMDB puts it.
    get: key => parseValue(db.getBinaryFast(keyBytes(key, scratch))),
    scan() {
      let count = 0
      for (const { value } of db.getRange({})) count += value.length === 8 ? 1 : 0
      return count
    },
    range(_way, from, below, taker) {
      for (const { key, value } of db.getRange({ start: keyBytes(from), end: keyBytes(below) })) {
        taker.row(key.readBigUInt64BE(), parseValue(value)!.id)
      }
    },
    newest(_way, from, below) {
      // In reverse the start is the greatest key, itself included, and the end is left out.
      const end = from === 0n ? {} : { end: keyBytes(from - 1n) }
      const range = { start: keyBytes(below - 1n), ...end, reverse: true, limit: 1 }
      for (const { value } of db.getRange(range)) return parseValue(value)
      return undefined
    },
    close: () => db.close(),
  }
}
