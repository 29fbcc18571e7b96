/**
 * A process of its own with nothing but a call of a table that waits: `argv[2]` says which, `argv[3]` where the table is.
 *
 * It says `done` when the call has settled, `finally` when its block has been left, and `before exit` when Node has
 * nothing more to do. All timers but those of the table let the process end.
 */
import process from 'node:process'
import { setTimeout as sleep } from 'node:timers/promises'
import { FlashTable } from '../../src/index.js'
import { nodeEnvironment, type Environment } from '../../src/table/environment.js'

const [, , situation, directory] = process.argv as [string, string, string, string]
const OPTIONS = { keyEncoding: 'u64', bufferBytes: 4096, walBytes: 16_384 } as const
/** Bucket files that cannot be created before there is room. */
const REFUSED = 3
const unreferenced = (ms: number): Promise<void> => sleep(ms, undefined, { ref: false })

let refused = 0
const { fileSystem } = nodeEnvironment
const fullForAWhile: Environment = {
  ...nodeEnvironment,
  fileSystem: {
    ...fileSystem,
    freeBytes: path => (refused < REFUSED ? Promise.resolve(0) : fileSystem.freeBytes(path)),
  },
  newExecutor: () => {
    const executor = nodeEnvironment.newExecutor()
    return {
      ...executor,
      run: (job, control) => {
        if (refused++ >= REFUSED) return executor.run(job, control)
        return Promise.reject(Object.assign(new Error('ENOSPC: no space left'), { code: 'ENOSPC' }))
      },
    }
  },
  wait: ms => unreferenced(ms / 10),
}

/** A memtable of records, put again until there is room for it. */
async function fill(table: FlashTable, first: number): Promise<void> {
  const key = BigUint64Array.from({ length: 400 }, (_, i) => BigInt(first + i))
  for (;;) {
    try {
      await table.putColumns({ key })
      return
    } catch (error) {
      if ((error as { code?: unknown }).code !== 'FLASHTABLE_DISK_FULL') throw error
    }
  }
}

const open = (): Promise<FlashTable> => FlashTable.openIn(directory, OPTIONS, fullForAWhile)

const SITUATIONS: Record<string, () => Promise<void>> = {
  async puts() {
    const table = await open()
    for (let first = 0; first < 4000; first += 400) await fill(table, first)
  },
  async compact() {
    const table = await open()
    const puts = [0, 400, 800, 1200].map(first => fill(table, first))
    for (;;) {
      try {
        await table.compact()
        break
      } catch (error) {
        if ((error as { code?: unknown }).code !== 'FLASHTABLE_DISK_FULL') throw error
      }
    }
    await Promise.all(puts)
  },
  async 'bulk load'() {
    async function* source() {
      yield { key: BigUint64Array.of(1n) }
      await unreferenced(200)
      yield { key: BigUint64Array.of(2n) }
    }
    await FlashTable.bulkLoad(directory, { keyEncoding: 'u64' }, source())
  },
  async 'open that waits for the lock'() {
    const holder = await FlashTable.open(directory, { keyEncoding: 'u64' })
    const closed = unreferenced(200).then(() => holder.close())
    await FlashTable.open(directory, { lockTimeoutMs: 10_000 })
    await closed
  },
  async 'idle table'() {
    const table = await FlashTable.open(directory, OPTIONS)
    for (let first = 0; first < 8000; first += 400) await fill(table, first)
    await table.get(1n)
    for await (const key of table.keys()) if (key === 3n) break
  },
  async 'iterator between two steps'() {
    const table = await FlashTable.open(directory, OPTIONS)
    await fill(table, 0)
    await table.keys().next()
  },
}

process.once('beforeExit', () => console.log('before exit'))
try {
  await SITUATIONS[situation]!()
  console.log('done')
} finally {
  console.log('finally')
}
