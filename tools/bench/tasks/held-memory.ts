/** What a process holds that has looked up records all over some tables. */
import { join } from 'node:path'
import { checkHits } from '../lookup-rounds.js'
import { hitKeys, randomNumbers } from '../records.js'
import { openTable, type Table } from '../table.js'
import { peakRssMiB, rssMiB } from '../timing.js'
import { check, type Figures } from '../workload.js'

interface HeldSettings {
  readonly directory: string
  /** Each in a directory below it, with records from number `i * records` on. */
  readonly tables: number
  /** Of each table. */
  readonly records: number
  readonly lookups: number
  /** `undefined`: the default. */
  readonly cacheBytes?: number | undefined
  /** What the process is told to be available: the default of the cache is a part of it. */
  readonly availableBytes?: number | undefined
}

/** Keys of a call. */
const CALL_MOST = 10_000

export function directoryOf(directory: string, table: number): string {
  return join(directory, String(table))
}

/** Half of the lookups by `getSync`, half by `getColumns`, as many in each table. */
export async function heldMemory(settings: HeldSettings): Promise<Figures> {
  const { directory, tables: count, records, lookups, cacheBytes, availableBytes } = settings
  if (availableBytes !== undefined) process.availableMemory = () => availableBytes
  const before = rssMiB()
  const tables: Table[] = []
  for (let i = 0; i < count; i++) tables.push(await openTable(directoryOf(directory, i), { cacheBytes }))
  const each = Math.ceil(lookups / count / 2)
  for (const [i, table] of tables.entries()) {
    for (let done = 0; done < each; done += CALL_MOST) {
      const size = Math.min(CALL_MOST, each - done)
      const draw = (seed: number) => randomNumbers(size, records, seed).map(number => i * records + number)
      const numbers = draw((2 * done) / CALL_MOST)
      const keys = hitKeys(numbers)
      let wrong = 0
      for (let row = 0; row < size; row++) if (table.getSync(keys[row]!)?.id !== numbers[row]) wrong++
      check(wrong === 0, () => `${wrong} of ${size} hits`)
      const others = draw((2 * done) / CALL_MOST + 1)
      const asked = hitKeys(others)
      checkHits(await table.getColumns(asked), asked, others, 0)
    }
  }
  const figures = { beforeMiB: before, rssMiB: rssMiB(), peakRssMiB: peakRssMiB() }
  for (const table of tables) await table.close()
  return figures
}
