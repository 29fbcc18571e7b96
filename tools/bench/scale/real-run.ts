/** The same life as the simulated one, by the library itself: a table that is published to a directory as it grows. */
import { randomBytes } from 'node:crypto'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { FlashTable, collectGarbage, directoryStore, type TableStats } from '../../../src/index.js'
import { nextMerge } from '../../../src/compaction/policy.js'
import type { ObjectStore } from '../../../src/store/object-store.js'
import { randomRecords, RECORD_BYTES } from '../../cli/bench/records.js'
import { ENCODINGS } from '../table.js'
import type { PartitionFigures } from './partition.js'

/** What both can say. */
export interface ComparedFigures {
  readonly objects: number
  readonly uploadedBytes: number
  readonly swaps: number
  readonly deletes: number
  readonly liveObjects: number
  readonly liveBytes: number
  readonly manifestBytesMost: number
}

export interface RealRunOptions {
  readonly directory: string
  readonly records: number
  readonly bufferRecords: number
  readonly fanout: number
}

const BATCH_RECORDS = 65_536
const BUCKET = /\.bucket$/
const MANIFEST = 'MANIFEST'

export async function realRun({
  directory,
  records,
  bufferRecords,
  fanout,
}: RealRunOptions): Promise<ComparedFigures> {
  const place = join(directory, `scale-${randomBytes(4).toString('hex')}`)
  mkdirSync(place)
  const counted = countingStore(directoryStore(join(place, 'store')))
  const { store, figures, sizes } = counted
  const table = await FlashTable.open(join(place, 'table'), {
    ...ENCODINGS,
    bufferBytes: bufferRecords * RECORD_BYTES,
    fanout,
  })
  try {
    for (let from = 0; from < records; from += bufferRecords) {
      const to = Math.min(records, from + bufferRecords)
      for (let at = from; at < to; at += BATCH_RECORDS)
        await table.putColumns(randomRecords(at, Math.min(to, at + BATCH_RECORDS)))
      await table.publish(store)
      await merged(table, fanout)
      await table.publish(store)
    }
    await collectGarbage(store, { retention: 0 })
  } finally {
    await table.close()
  }
  const live = [...sizes.values()]
  return { ...figures, liveObjects: live.length, liveBytes: live.reduce((sum, bytes) => sum + bytes, 0) }
}

export function comparedOf({
  store,
  manifestBytesMost,
  liveObjects,
  liveBytes,
}: PartitionFigures): ComparedFigures {
  const { objects, uploadedBytes, swaps, deletes } = store
  return { objects, uploadedBytes, swaps, deletes, liveObjects, liveBytes, manifestBytesMost }
}

/** The figures that differ by more than a tenth, in words. */
export function differences(simulated: ComparedFigures, real: ComparedFigures): string[] {
  return Object.entries(real).flatMap(([name, measured]: [string, number]) => {
    const found = simulated[name as keyof ComparedFigures]
    return Math.abs(found - measured) <= 0.1 * measured
      ? []
      : [`${name}: simulated ${found}, measured ${measured}`]
  })
}

async function merged(table: { stats(): TableStats | Promise<TableStats> }, fanout: number): Promise<void> {
  while (nextMerge((await table.stats()).files, fanout) !== undefined)
    await new Promise(resolve => setTimeout(resolve, 2))
}

/** Counts what concerns bucket files and the manifest: the probe of the first publish uses other keys. */
function countingStore(inner: ObjectStore): {
  readonly store: ObjectStore
  readonly sizes: ReadonlyMap<string, number>
  readonly figures: {
    objects: number
    uploadedBytes: number
    swaps: number
    deletes: number
    manifestBytesMost: number
  }
} {
  const figures = { objects: 0, uploadedBytes: 0, swaps: 0, deletes: 0, manifestBytesMost: 0 }
  const sizes = new Map<string, number>()
  const counting: Partial<ObjectStore> = {
    async put(key, source, options) {
      await inner.put(key, source, options)
      if (!BUCKET.test(key)) return
      figures.objects++
      figures.uploadedBytes += source.bytes
      sizes.set(key, source.bytes)
    },
    async swap(key, bytes, expected, options) {
      if (key === MANIFEST) {
        figures.swaps++
        figures.manifestBytesMost = Math.max(figures.manifestBytesMost, bytes.byteLength)
      }
      return inner.swap(key, bytes, expected, options)
    },
    async delete(key, options) {
      await inner.delete(key, options)
      if (sizes.delete(key)) figures.deletes++
    },
  }
  const store = new Proxy(inner, {
    get(target, name: keyof ObjectStore) {
      const own = counting[name] ?? target[name]
      return typeof own === 'function' ? own.bind(target) : own
    },
  })
  return { store, sizes, figures }
}
