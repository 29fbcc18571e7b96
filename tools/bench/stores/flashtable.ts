/** flashtable as one of the stores. */
import { settled, openTable, type Table } from '../table.js'
import type { Found, NewestWay, Store } from './store.js'

type FindNewest = (
  table: Table,
  from: bigint,
  below: bigint,
) => Found | undefined | Promise<Found | undefined>

const NEWEST: Record<NewestWay, FindNewest> = {
  async entries(table, from, below) {
    for await (const [, found] of table.entries({ gte: from, lt: below, reverse: true, limit: 1 }))
      return found
    return undefined
  },
  last: async (table, from, below) => (await table.last({ gte: from, lt: below }))?.[1],
  lastSync: (table, from, below) => table.lastSync({ gte: from, lt: below })?.[1],
}

export async function openFlashtable(directory: string): Promise<Store> {
  const table = await openTable(directory)
  return {
    version: 'this commit',
    load: async records => void (await table.putColumns(records, { sync: true })),
    put: (key, found) => table.put(key, found),
    get: key => table.getSync(key),
    async scan() {
      let count = 0
      for await (const { id } of table.scanColumns()) count += id.length
      return count
    },
    compact: () => table.compact(),
    async range(way, from, below, taker) {
      const range = { gte: from, lt: below }
      if (way === 'entries') {
        for await (const [key, { id }] of table.entries(range)) taker.row(key, id)
        return
      }
      for await (const { key, id } of table.scanColumns(range)) taker.columns(key, id)
    },
    newest: (way, from, below) => NEWEST[way](table, from, below),
    async logBytes() {
      return (await table.stats()).bytesWritten.wal
    },
    async close() {
      await settled(table)
      await table.close()
    },
  }
}
