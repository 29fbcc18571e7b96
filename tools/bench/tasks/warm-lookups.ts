/** Lookups in a table whose pages all fit into its cache. */
import {
  columnsRate,
  hitRate,
  medianOfRounds,
  missRate,
  missRateAfterHits,
  nearRate,
  type GetNow,
} from '../lookup-rounds.js'
import { openTable, type Table } from '../table.js'
import { hugePagesMiB, rssMiB, seconds } from '../timing.js'
import { check, type Figures } from '../workload.js'

/** A round. */
const LOOKUPS = 1_000_000
const NEAR_LOOKUPS = 200_000
const FIRST_MISSES = 200_000

interface WarmSettings {
  readonly directory: string
  readonly records: number
  /** `undefined`: the default. */
  readonly cacheBytes?: number | undefined
}

/** Hits one by one and by `getColumns`. */
export async function warmHits(settings: WarmSettings): Promise<Figures> {
  const table = await open(settings)
  const figures = await hitFigures(table, key => table.getSync(key), settings.records)
  await table.close()
  return figures
}

/** Misses in a table just opened, then hits. */
export async function lookupsAsIs(settings: WarmSettings): Promise<Figures> {
  const { records } = settings
  const table = await open(settings)
  const get = (key: bigint) => table.getSync(key)
  const missesPerSecond = missRate(get, FIRST_MISSES, 0)
  const { pageReads, files } = await table.stats()
  const { hugePagesMiB: _not, ...hits } = await hitFigures(table, get, records)
  await table.close()
  return {
    missesPerSecond,
    pageReadsPerMiss: pageReads / FIRST_MISSES,
    ...hits,
    files: files.length,
  }
}

/** All kinds of lookups, and a scan. */
export async function warmLookups(settings: WarmSettings): Promise<Figures> {
  const { records } = settings
  const table = await open(settings)
  const get = (key: bigint) => table.getSync(key)
  const hits = await hitFigures(table, get, records)
  const { pageReads: before } = await table.stats()
  let misses = 0
  const missesPerSecond = await medianOfRounds(seed => {
    misses += LOOKUPS
    return missRate(get, LOOKUPS, seed)
  })
  const { pageReads: after } = await table.stats()
  const missesAfterHitsPerSecond = await medianOfRounds(seed =>
    missRateAfterHits(get, records, LOOKUPS, seed),
  )
  const nearKeysPerSecond = await medianOfRounds(seed => nearRate(table, records, NEAR_LOOKUPS, seed))
  const rss = rssMiB()
  const scannedPerSecond = await medianOfRounds(
    async () => records / (await seconds(() => scan(table, records))),
  )
  await table.close()
  return {
    ...hits,
    missesPerSecond,
    missesAfterHitsPerSecond,
    pageReadsPerMiss: (after - before) / misses,
    nearKeysPerSecond,
    rssMiB: rss,
    scannedPerSecond,
  }
}

function open({ directory, cacheBytes }: WarmSettings) {
  return openTable(directory, { cacheBytes })
}

async function hitFigures(table: Table, get: GetNow, records: number): Promise<Figures> {
  const hitsPerSecond = await medianOfRounds(seed => hitRate(get, records, LOOKUPS, seed))
  const { pageReads: before } = await table.stats()
  let keys = 0
  const columnKeysPerSecond = await medianOfRounds(seed => {
    keys += LOOKUPS
    return columnsRate(table, records, LOOKUPS, seed)
  })
  const pageReadsPerWarmKey = ((await table.stats()).pageReads - before) / keys
  return { hitsPerSecond, columnKeysPerSecond, pageReadsPerWarmKey, hugePagesMiB: hugePagesMiB() }
}

async function scan(table: Table, records: number): Promise<void> {
  let count = 0
  let last = -1n
  for await (const { key } of table.scanColumns()) {
    check(key[0]! >= last, () => 'keys out of order')
    last = key.at(-1)!
    count += key.length
  }
  check(count === records, () => `a scan gave ${count} records of ${records}`)
}
