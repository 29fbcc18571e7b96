/** Whole jobs write the same files with kernels and without: also where only some pages, or none, are for kernels. */
import { Buffer } from 'node:buffer'
import { afterEach, expect, test } from 'vitest'
import { bucketName } from '../../../src/io/file-names.js'
import { runCompaction } from '../../../src/compaction/run.js'
import type { CompactionJob } from '../../../src/jobs/job.js'
import { beginKernels, endKernels, kernels } from '../../../src/kernels/kernels.js'
import type { BucketFileEntry } from '../../../src/manifest/bucket-file-entry.js'
import type { Memtable } from '../../../src/memtable/memtable.js'
import { DIRECTORY, TABLE_ID } from '../../support/bucket-files.js'
import { layoutOf, memtableOf, randomOperations } from '../../support/memtables.js'
import { Random } from '../../support/random.js'
import { SimulatedFileSystem } from '../../support/simulated-file-system.js'

const MEMTABLES = 5
/** The first memtable has more: it is split into parts. */
const ROWS = 3000
const FIRST_ROWS = 20_000

interface Made {
  readonly bytes: Uint8Array
  /** Pages that kernels have written and read. */
  readonly pages: number
}

afterEach(() => endKernels())

/** Seals the memtables and merges their files; of each job the file that it has written. */
async function filesOf(keyLaneCount: number, memtables: readonly Memtable[], byKernels: boolean) {
  const disk = new SimulatedFileSystem()
  await disk.makeDirectory(DIRECTORY)
  const made: Made[] = []
  const run = async (files: readonly BucketFileEntry[], sealed: readonly Memtable[]) => {
    const number = made.length + 1
    const inputs = [...files, ...sealed]
    const job: CompactionJob = {
      directory: DIRECTORY,
      tableId: TABLE_ID,
      layout: layoutOf(keyLaneCount),
      pageBytes: 4096,
      replace: false,
      files,
      memtables: sealed.map(memtable => memtable.image()),
      deletes: [],
      ownDeletes: [],
      includesOldest: files.length > 0,
      output: {
        number,
        epoch: 1,
        level: 0,
        filterBitsPerRecord: 10,
        firstSequence: inputs[0]!.firstSequence,
        endSequence: inputs.at(-1)!.endSequence,
      },
    }
    if (byKernels) {
      beginKernels()
      // Nothing may rely on what the memory holds.
      kernels()!.words.fill(0xdeadbeef, 0, 2 ** 20)
    }
    const { entry } = await runCompaction(disk, job, {}, () => {})
    const pages = kernels()?.pages ?? 0
    endKernels()
    made.push({ bytes: disk.readFile(`${DIRECTORY}/${bucketName(number)}`), pages })
    return entry!
  }
  const sealed: BucketFileEntry[] = []
  for (const memtable of memtables) sealed.push(await run([], [memtable]))
  await run(sealed, [])
  return made
}

const CASES = [1, 2, 3].flatMap(keyLanes =>
  ['puts', 'deletes too', 'deletes in some'].map(kinds => ({ keyLanes, kinds })),
)

test.each(CASES)('seals and merges of $keyLanes key lanes, $kinds', async ({ keyLanes, kinds }) => {
  for (let seed = 1; seed <= 4; seed++) {
    const memtables = Array.from({ length: MEMTABLES }, (_, i) => {
      const random = new Random(seed * MEMTABLES + i)
      const withKinds = kinds === 'deletes too' || (kinds === 'deletes in some' && i === 0)
      return memtableOf(
        random,
        randomOperations(random, keyLanes, i === 0 ? FIRST_ROWS : ROWS, withKinds),
        0,
        i * FIRST_ROWS,
      )
    })
    const expected = await filesOf(keyLanes, memtables, false)
    const made = await filesOf(keyLanes, memtables, true)
    expect(made.map(({ bytes }, i) => Buffer.compare(bytes, expected[i]!.bytes))).toEqual(made.map(() => 0))
    expect(expected.every(({ pages }) => pages === 0)).toBe(true)
    const last = made.at(-1)!.pages
    if (keyLanes === 3) expect(last).toBe(0)
    else expect(last).toBeGreaterThan(0)
    if (keyLanes < 3 && kinds === 'puts') expect(made.every(({ pages }) => pages > 0)).toBe(true)
  }
})
