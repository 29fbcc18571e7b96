/** Checkpoints beside ascending puts, with threads: each holds 0 to n - 1, each once. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { workerExecutor } from '../../src/executor/worker-executor.js'
import { FlashTable } from '../../src/index.js'
import type { CompactionJob, Executor } from '../../src/jobs/job.js'
import { nodeEnvironment, type Environment } from '../../src/table/environment.js'
import { FINGERPRINT, fingerprint, fingerprintColumns, type FingerprintTable } from '../support/tables.js'

const OPTIONS = {
  ...FINGERPRINT,
  bufferBytes: 16_384,
  walBytes: 65_536,
  fanout: 4,
  syncIntervalMs: Infinity,
}
const ROWS_PER_CALL = 200
const COPIES = 2
/** Seals that come between the moment of a checkpoint and each of its jobs: memory goes round in fewer. */
const SEALS_BEFORE_JOB = 4

let root = ''
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'flashtable-beside-'))
})
afterEach(() => rm(root, { recursive: true }))

/** Threads that begin the jobs of a checkpoint late, after this many more seals. */
function lateExecutor(directory: string): Executor {
  const executor = workerExecutor()
  let seals = 0
  let waiting: { readonly seals: number; readonly begin: () => void }[] = []
  const isOwn = (job: CompactionJob): boolean => job.directory === directory
  return {
    ...executor,
    async run(job, control) {
      if (!isOwn(job)) {
        await new Promise<void>(begin => waiting.push({ seals: seals + SEALS_BEFORE_JOB, begin }))
        return executor.run(job, control)
      }
      const result = await executor.run(job, control)
      seals += job.memtables.length
      for (const { begin } of waiting.filter(late => late.seals <= seals)) begin()
      waiting = waiting.filter(late => late.seals > seals)
      return result
    },
  }
}

async function open(directory: string, environment: Environment): Promise<FingerprintTable> {
  return (await FlashTable.openIn(directory, OPTIONS, environment)) as unknown as FingerprintTable
}

/** Puts 0, 1, 2, ... until `done`; resolves to how many. */
async function putAscending(table: FingerprintTable, done: () => boolean): Promise<number> {
  let count = 0
  for (; !done(); count += ROWS_PER_CALL) {
    await table.putColumns(fingerprintColumns(count, count + ROWS_PER_CALL, BigInt))
    // Threads and file calls get their turn.
    await new Promise(resolve => void setImmediate(resolve))
  }
  return count
}

/** How many records the copy holds: those of 0 to n - 1, each once, each its own. */
async function expectPrefix(copy: FingerprintTable): Promise<number> {
  let next = 0
  for await (const [key, value] of copy.entries()) {
    const { time, flags, id } = fingerprint(next)
    const fits = key === BigInt(next) && value.time === time && value.flags === flags && value.id === id
    if (!fits) expect([key, value]).toEqual([BigInt(next), fingerprint(next)])
    next++
  }
  return next
}

describe.each([
  ['that begins its jobs at once', () => nodeEnvironment],
  [
    'whose jobs begin when other memtables have had their memory',
    (directory: string) => ({ ...nodeEnvironment, newExecutor: () => lateExecutor(directory) }),
  ],
])('a checkpoint %s', (_name, environmentOf) => {
  test('beside ascending puts holds each record once, up to its end', async () => {
    const directory = join(root, 'table')
    const table = await open(directory, environmentOf(directory))
    const acknowledged: number[] = []
    let copies = 0
    const putting = putAscending(table, () => copies === COPIES)
    while (copies < COPIES) {
      acknowledged.push((await table.stats()).recordsPut)
      await table.checkpoint(join(root, `copy${copies}`))
      copies++
    }
    const put = await putting
    expect(await expectPrefix(table)).toBe(put)
    await table.close()
    for (const [i, before] of acknowledged.entries()) {
      const copy = await open(join(root, `copy${i}`), nodeEnvironment)
      const held = await expectPrefix(copy)
      expect(held).toBeGreaterThanOrEqual(before)
      expect(held).toBeLessThanOrEqual(put)
      await copy.close()
    }
  })
})
