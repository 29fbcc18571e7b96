/** flashtable as one of the stores. */
import { settled, openTable } from '../table.js'
import type { Store } from './store.js'

export async function openFlashtable(directory: string): Promise<Store> {
  const table = await openTable(directory)
  return {
    version: 'this commit',
    load: async records => void (await table.putColumns(records, { sync: true })),
    put: (key, { time, id }) => table.put(key, { time, flags: 0, id }),
    get: key => table.getSync(key),
    async scan() {
      let count = 0
      for await (const { id } of table.scanColumns()) count += id.length
      return count
    },
    async close() {
      await settled(table)
      await table.close()
    },
  }
}
