/** Lookups on a compacted table, warm and cold; and the space that a record takes there. */
import { readFileSync } from 'node:fs'
import { inChild } from '../child.js'
import { dropCaches } from '../device.js'
import { bulkLoadRandom, openTable } from '../table.js'
import { seconds } from '../timing.js'
import { check, type Figures, type RunSettings, type Workload } from '../workload.js'

const CACHE_BYTES = 256 * 2 ** 20
/** glibc then asks for huge pages; it reads this when a process starts. */
const HUGE_PAGES = { GLIBC_TUNABLES: 'glibc.malloc.hugetlb=1' }
/** As many threads for files as `getColumns` has reads in flight: Node.js starts four unless it is told. */
const SIXTEEN_THREADS = { UV_THREADPOOL_SIZE: '16' }
const FOUR_THREADS = { UV_THREADPOOL_SIZE: '4' }

export const lookups: Workload = {
  name: 'lookups',
  sentence:
    'A table of random records, one bucket file, is asked one by one (`getSync`), 10,000 keys a call ' +
    '(`getColumns`), within 2, warm and cold, and scanned, by fresh processes. A figure is the median of ' +
    'three rounds of other keys, after one that warms up; cold rounds warm up on another table.',
  stores: ['flashtable'],
  records: 16_000_000,
  figures: {
    bulkLoadedPerSecond: { unit: 'records/s bulk loaded', better: 'more' },
    dataBytesPerRecord: { unit: 'bytes of data pages a record', better: 'less', target: 10.5, digits: 4 },
    bytesPerRecord: { unit: 'bytes a record with filter and fences', better: 'less', target: 12.3 },
    coldHitPageReads: { unit: 'page reads a cold hit', better: 'less', target: 1.05 },
    coldHitsPerSecond: { unit: 'cold getSync hits/s', better: 'more' },
    coldColumnKeysPerSecond: {
      unit: 'cold getColumns hits/s, 16 threads for files',
      better: 'more',
      target: 40_000,
    },
    diskReadsPerSecond: {
      unit: 'the disk: reads/s of 4 KiB of that file by fs.read, 16 in flight, 16 threads',
    },
    coldColumnShare: { unit: 'cold getColumns hits / reads of the disk', better: 'more', target: 0.8 },
    defaultColdColumnKeysPerSecond: {
      unit: 'cold getColumns hits/s, 4 threads (the default)',
      better: 'more',
    },
    defaultDiskReadsPerSecond: { unit: 'the disk: the same reads/s, 4 threads' },
    hitsPerSecond: { unit: 'getSync hits/s, cacheBytes 256 MiB', better: 'more', target: 2_000_000 },
    hugePageHitsPerSecond: {
      unit: 'getSync hits/s, cacheBytes 256 MiB, huge pages',
      better: 'more',
      target: 3_000_000,
    },
    hugePagesMiB: { unit: 'MiB of that process in huge pages' },
    missesPerSecond: { unit: 'getSync misses/s, cacheBytes 256 MiB', better: 'more', target: 3_000_000 },
    missesAfterHitsPerSecond: {
      unit: 'getSync misses/s right after hits, cacheBytes 256 MiB',
      better: 'more',
      target: 3_000_000,
    },
    pageReadsPerMiss: { unit: 'page reads a miss', better: 'less', target: 0.03 },
    columnKeysPerSecond: { unit: 'getColumns keys/s, cacheBytes 256 MiB', better: 'more', target: 5_000_000 },
    pageReadsPerWarmKey: { unit: 'page reads a key then: 0 if all is cached' },
    nearKeysPerSecond: { unit: 'getColumns keys/s within 2', better: 'more', target: 1_000_000 },
    scannedPerSecond: { unit: 'records/s by scanColumns', better: 'more' },
    defaultHitsPerSecond: { unit: 'getSync hits/s, default cache', better: 'more' },
    defaultColumnKeysPerSecond: { unit: 'getColumns keys/s, default cache', better: 'more' },
    rssMiB: { unit: 'MiB RSS after all lookups, cacheBytes 256 MiB', better: 'less' },
  },
  async run({ directory, device, records }) {
    const loadSeconds = await seconds(async () => (await bulkLoadRandom(directory, records)).close())
    const table = await openTable(directory)
    const { dataBytesOnDisk, files } = await table.stats()
    await table.close()
    check(files.length === 1, () => `${files.length} files`)
    const cached = { directory, records, cacheBytes: CACHE_BYTES }
    const { hugePagesMiB: _none, ...warm } = await inChild('warmLookups', cached)
    const byDefault = await inChild('warmHits', { directory, records })
    return {
      bulkLoadedPerSecond: records / loadSeconds,
      dataBytesPerRecord: dataBytesOnDisk / records,
      bytesPerRecord: files.reduce((bytes, file) => bytes + file.bytes, 0) / records,
      ...(await coldFigures({ directory, device, records })),
      ...warm,
      ...(await hugePageFigures(cached)),
      defaultHitsPerSecond: byDefault['hitsPerSecond']!,
      defaultColumnKeysPerSecond: byDefault['columnKeysPerSecond']!,
    }
  },
}

/** None if the page cache of the system cannot be dropped: that needs root. */
async function coldFigures(
  settings: Pick<RunSettings, 'directory' | 'device' | 'records'>,
): Promise<Figures> {
  if (!dropCaches()) return {}
  const hits = await inChild('coldHits', settings)
  const disk = await inChild('diskReads', settings, SIXTEEN_THREADS)
  const columns = await inChild('coldColumns', settings, SIXTEEN_THREADS)
  const defaultDisk = await inChild('diskReads', settings, FOUR_THREADS)
  const defaultColumns = await inChild('coldColumns', settings, FOUR_THREADS)
  return {
    ...hits,
    ...disk,
    ...columns,
    coldColumnShare: columns['coldColumnKeysPerSecond']! / disk['diskReadsPerSecond']!,
    defaultColdColumnKeysPerSecond: defaultColumns['coldColumnKeysPerSecond']!,
    defaultDiskReadsPerSecond: defaultDisk['diskReadsPerSecond']!,
  }
}

/** None if the system gives no huge pages to a process that asks for them. */
async function hugePageFigures(settings: {
  directory: string
  records: number
  cacheBytes: number
}): Promise<Figures> {
  if (!givesHugePages()) return {}
  const { hitsPerSecond, hugePagesMiB } = await inChild('warmHits', settings, HUGE_PAGES)
  return { hugePageHitsPerSecond: hitsPerSecond!, hugePagesMiB: hugePagesMiB! }
}

function givesHugePages(): boolean {
  try {
    return !readFileSync('/sys/kernel/mm/transparent_hugepage/enabled', 'utf8').includes('[never]')
  } catch {
    return false
  }
}
