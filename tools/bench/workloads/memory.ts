/** What a process holds after lookups all over large tables, and all over many. */
import { join } from 'node:path'
import { inChild } from '../child.js'
import { bulkLoadRandom } from '../table.js'
import { directoryOf } from '../tasks/held-memory.js'
import type { Workload } from '../workload.js'

const CACHE_BYTES = 256 * 2 ** 20
const LOOKUPS = 2_000_000
const TABLES = 100
/** In many tables, or in one, to compare. */
const SHARED_RECORDS = 10_000_000
/** Of these the cache that tables share by default takes an eighth: less than the records take. */
const AVAILABLE_BYTES = 512 * 2 ** 20

interface Limits {
  readonly cacheBytes?: number
  readonly availableBytes?: number
}

export const memory: Workload = {
  name: 'memory',
  sentence:
    'Random records are bulk loaded; a fresh process looks up 2,000,000 of them (or twice as many as there ' +
    'are, if that is fewer) all over the table, half by `getSync`, half by `getColumns`. Then 10 M (or all) ' +
    'in one table, and as many in 100 tables that are all open, are looked up with default options, each by a ' +
    'process of its own.',
  stores: ['flashtable'],
  records: 100_000_000,
  figures: {
    rssMiB: { unit: 'MiB RSS after lookups all over, cacheBytes 256 MiB', better: 'less', target: 420 },
    peakRssMiB: { unit: 'MiB RSS, the most it was', better: 'less' },
    beforeMiB: { unit: 'MiB RSS before the open' },
    oneTableMiB: { unit: 'MiB RSS after lookups, one table of 10 M' },
    manyTablesMiB: { unit: 'MiB RSS after lookups, 100 tables of 100,000', better: 'less' },
    moreMiB: { unit: 'MiB RSS that 100 tables take more than one', better: 'less' },
    manyTablesRatio: { unit: 'RSS of 100 tables / of one', better: 'less', target: 1.1 },
  },
  async run({ directory, records }) {
    // Makes tables of records, and measures what a process holds that has asked all of them.
    const held = async (name: string, tables: number, each: number, limits: Limits) => {
      const group = join(directory, name)
      for (let table = 0; table < tables; table++) {
        await (await bulkLoadRandom(directoryOf(group, table), each, table * each)).close()
      }
      const lookups = Math.min(LOOKUPS, 2 * tables * each)
      return inChild('heldMemory', { directory: group, tables, records: each, lookups, ...limits })
    }
    const each = Math.ceil(Math.min(records, SHARED_RECORDS) / TABLES)
    const all = await held('all', 1, records, { cacheBytes: CACHE_BYTES })
    const one = await held('one', 1, each * TABLES, { availableBytes: AVAILABLE_BYTES })
    const many = await held('many', TABLES, each, { availableBytes: AVAILABLE_BYTES })
    return {
      ...all,
      oneTableMiB: one['rssMiB']!,
      manyTablesMiB: many['rssMiB']!,
      moreMiB: many['rssMiB']! - one['rssMiB']!,
      manyTablesRatio: many['rssMiB']! / one['rssMiB']!,
    }
  },
}
