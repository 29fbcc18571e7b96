/**
 * Random operations against a plain model: all methods, over seals, merges, reopening, kills and power cuts.
 *
 * A failure names the seed; `FLASHTABLE_SEED` runs it again, `FLASHTABLE_STEPS` makes runs longer.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { FlashTable } from '../../src/index.js'
import { verifyTable } from '../../src/offline/verify.js'
import { SCHEMA_CASES } from '../support/schemas.js'
import { JOB_FORMS, simulatedEnvironment, type JobForm } from '../support/simulated-environment.js'
import { SimulatedFileSystem } from '../support/simulated-file-system.js'
import type { AnyTable, Tally, World } from './run-state.js'
import { TableRun } from './table-run.js'

const SEED = Number(process.env['FLASHTABLE_SEED'] ?? Date.now() % 1_000_000_000)
const STEPS = Number(process.env['FLASHTABLE_STEPS'] ?? 450)
/** Of the run on the real disk, with threads and syncs that take their time. */
const STEPS_ON_DISK = Math.ceil(STEPS / 4)

async function verified(directory: string, fileSystem?: SimulatedFileSystem): Promise<void> {
  const { problems } = await verifyTable(directory, fileSystem === undefined ? {} : { fileSystem })
  if (problems.length > 0) throw new Error(`verify: ${problems.map(({ message }) => message).join('; ')}`)
}

/** A disk in memory that transfers parts, and may lose what was not synced. */
function simulatedWorld(
  seed: number,
  jobs: JobForm,
  runsPerFlush: number,
  keyRows: number | undefined,
): World {
  const options = { seed, shortTransfers: 0.05 }
  let disk = new SimulatedFileSystem(options)
  disk.writeFile('/tables/.keep', new Uint8Array(0))
  return {
    directory: '/tables/one',
    open: async (directory, given) => {
      const environment = { ...simulatedEnvironment(disk, jobs, keyRows), runsPerFlush }
      return (await FlashTable.openIn(directory, given, environment)) as AnyTable
    },
    kill() {
      const old = disk
      disk = old.clone(options)
      old.crashNow()
    },
    cutPower(seed) {
      const old = disk
      disk = old.crashState(seed, {}, options)
      old.crashNow()
    },
    verify: () => verified('/tables/one', disk),
  }
}

/** The run was what it is there for: files of several levels came and went. */
function isBusy({ filesMax, levelsMax, bucketBytes }: Tally): boolean {
  return filesMax > 1 && levelsMax > 1 && bucketBytes > 100_000
}

async function replayable(schema: string, act: () => Promise<void>): Promise<void> {
  try {
    await act()
  } catch (error) {
    const text = error instanceof Error ? error.message : String(error)
    throw new Error(
      `FLASHTABLE_SEED=${SEED} FLASHTABLE_STEPS=${STEPS} npx vitest run test/property/table.test.ts -t '${schema}'\n${text}`,
      { cause: error },
    )
  }
}

const tallies: Tally[] = []

describe(`a table under random operations is as its model (seed ${SEED})`, () => {
  test.each(SCHEMA_CASES)('$name', async schema => {
    await replayable(schema.name, async () => {
      // Every other schema has jobs that run beside other calls; with the next seed the others have them.
      const choice = SEED + SCHEMA_CASES.indexOf(schema)
      const jobs = JOB_FORMS[choice % JOB_FORMS.length]!
      const runsPerFlush = 1 + (Math.floor(choice / JOB_FORMS.length) % 3)
      // Keys soon have more rows than are merged together.
      const keyRows = [undefined, 2, 12][Math.floor(choice / 2) % 3]
      const run = new TableRun(simulatedWorld(SEED, jobs, runsPerFlush, keyRows), schema, SEED)
      await run.run(STEPS)
      tallies.push(run.tally)
    })
  })

  // One run in a hundred clears and compacts so often that it never has two files: chance, and no fault of the table.
  test.skipIf(STEPS < 300)('and most runs had files of several levels', () => {
    expect(tallies.filter(isBusy).length).toBeGreaterThan(tallies.length / 2)
  })

  test('also on the disk of this machine, with threads', async () => {
    const parent = await mkdtemp(join(tmpdir(), 'flashtable-property-'))
    const directory = join(parent, 'one')
    const world: World = {
      directory,
      open: async (path, options) => (await FlashTable.open(path, options)) as AnyTable,
      verify: () => verified(directory),
    }
    try {
      await replayable('on the disk', async () => {
        await new TableRun(world, SCHEMA_CASES[SEED % SCHEMA_CASES.length]!, SEED).run(STEPS_ON_DISK)
      })
    } finally {
      await rm(parent, { recursive: true })
    }
  })
})
