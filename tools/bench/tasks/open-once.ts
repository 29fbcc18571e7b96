/** One open in a fresh process, without the time that its modules take to load. */
import { hitKeys } from '../records.js'
import { openTable } from '../table.js'
import { check, type Figures } from '../workload.js'

export async function openOnce({
  directory,
  records,
}: {
  readonly directory: string
  readonly records: number
}): Promise<Figures> {
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
  return { openMs: opened - start, firstHitMs: foundAt - opened }
}
