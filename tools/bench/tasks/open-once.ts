/** Opens in a fresh process, without the time that its modules take to load. */
import { hitKeys } from '../records.js'
import { openTable } from '../table.js'
import { collectGarbage, median, seconds } from '../timing.js'
import { check, type Figures } from '../workload.js'

/** Opens after the first. */
const MORE_OPENS = 15
/** Of these, those that only warm up. */
const WARM_UP_OPENS = 6

interface OpenSettings {
  readonly directory: string
  readonly records: number
}

/** The first open of the process, its first hit, and later opens. */
export async function openOnce({ directory, records }: OpenSettings): Promise<Figures> {
  const [key] = hitKeys(Uint32Array.of(records - 1))
  const start = performance.now()
  const table = await openTable(directory)
  const opened = performance.now()
  const found = table.getSync(key!)
  const foundAt = performance.now()
  check(found?.id === records - 1, () => 'the first hit')
  const stats = await table.stats()
  check(stats.records === records, () => `${stats.records} records of ${records}`)
  await table.close()
  const later: number[] = []
  for (let i = 0; i < MORE_OPENS; i++) {
    collectGarbage()
    let again: typeof table
    later.push(await seconds(async () => void (again = await openTable(directory))))
    check(again!.getSync(key!)?.id === records - 1, () => 'a hit after a later open')
    await again!.close()
  }
  return {
    openMs: opened - start,
    firstHitMs: foundAt - opened,
    laterOpenMs: 1000 * median(later.slice(WARM_UP_OPENS)),
  }
}
