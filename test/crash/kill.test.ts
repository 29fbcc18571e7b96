/**
 * kill -9: a child process puts records and reports what is acknowledged; after its death nothing of that is missing,
 * and every call is there whole or not at all.
 *
 * `FLASHTABLE_KILLS=200` kills more often. The page cache survives here: what a power cut takes is simulated
 * (crash.test.ts) and cut for real (test/power-cut/run.ts).
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { FlashTable } from '../../src/index.js'
import { programFile } from '../support/programs.js'
import { Random } from '../support/random.js'
import { sizeOf, recordsOf } from './kill-calls.js'
import { KILL_OPTIONS } from './kill-options.js'

const KILLS = Number(process.env['FLASHTABLE_KILLS'] ?? 10)
const SEED = Number(process.env['FLASHTABLE_SEED'] ?? Date.now() % 1_000_000)
/** The child dies once a number of calls up to this one are acknowledged: counted, as a busy machine does few in a time. */
const LIFE_CALLS_MAX = 500
/** Kills of one table; then a new one begins, so that the check does not get long. */
const KILLS_PER_TABLE = 12

let root = ''
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'flashtable-kill-'))
})
afterEach(() => rm(root, { recursive: true }))

interface Death {
  /** Calls below this one are acknowledged. */
  readonly acknowledged: number
  /** Time from its start until it had opened the table; undefined: it had not. */
  readonly openMs: number | undefined
}

/** A child that has put that many calls has merged files, if it does so at all: puts wait where merges are behind. */
const MERGING_CALLS_MAX = 100_000

/** When a child dies: once a number of calls is acknowledged; some time after its start; or once it has merged files. */
type Moment = { readonly calls: number } | { readonly startMs: number } | { readonly merges: true }

/** Lets a child put calls from `first` on, and kills it at that moment. */
async function killed(directory: string, first: number, moment: Moment): Promise<Death> {
  const program = await programFile('../crash/kill-child.ts')
  const began = performance.now()
  const child = spawn(process.execPath, [program, directory, String(first)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const ended = once(child, 'exit')
  const done = new Set<number>()
  let openMs: number | undefined
  const timer = 'startMs' in moment ? setTimeout(() => child.kill('SIGKILL'), moment.startMs) : undefined
  for await (const line of createInterface(child.stdout)) {
    if (line.startsWith('open')) openMs = performance.now() - began
    else if (line !== 'merged') done.add(Number(line))
    const callsMax = 'calls' in moment ? moment.calls : MERGING_CALLS_MAX
    if (timer === undefined && (done.size >= callsMax || ('merges' in moment && line === 'merged')))
      child.kill('SIGKILL')
  }
  clearTimeout(timer)
  expect(await ended).toEqual([null, 'SIGKILL'])
  let acknowledged = first
  while (done.has(acknowledged)) acknowledged++
  // Those that wait together may resolve in any order; none may be missing below one that has resolved.
  return { acknowledged: Math.max(acknowledged, ...[...done].map(call => call + 1)), openMs }
}

/** Checks that the table holds calls [0, n), each whole, and nothing else; returns n. */
async function wholeCalls(table: FlashTable<'u64', typeof KILL_OPTIONS.valueEncoding>): Promise<number> {
  const counts: number[] = []
  for await (const { key, call, index } of table.scanColumns()) {
    for (let i = 0; i < key.length; i++) {
      const [n, at] = [call[i]!, index[i]!]
      counts[n] = (counts[n] ?? 0) + 1
      if (Number(key[i]) !== recordsOf(n)[at]?.key)
        throw new Error(`a record that was never put: call ${n}, row ${at}`)
    }
  }
  for (let n = 0; n < counts.length; n++) {
    if (counts[n] !== sizeOf(n))
      throw new Error(`call ${n} of ${counts.length}: ${counts[n] ?? 0} of ${sizeOf(n)} records`)
  }
  return counts.length
}

test(
  `${KILLS} times kill -9 among puts, seals and merges (seed ${SEED})`,
  { timeout: 30_000 + KILLS * 40_000 },
  async () => {
    const random = new Random(SEED)
    let [opened, callsPut, merges] = [0, 0, 0]
    let directory = ''
    let first = 0
    let openMs = 1000
    for (let kill = 0; kill < KILLS; kill++) {
      const isNew = kill % KILLS_PER_TABLE === 0
      if (isNew) [directory, first] = [join(root, `table-${kill}`), 0]
      // Mostly among puts; else somewhere in the start of the process, in the open, or soon after it.
      const startMs = (0.4 + random.below(1000) / 1000) * openMs
      const calls = random.below(LIFE_CALLS_MAX)
      // The first child of a table lives until it has merged files, however late that is on a busy machine.
      const moment = isNew ? { merges: true as const } : random.chance(0.25) ? { startMs } : { calls }
      const death = await killed(directory, first, moment)
      if (death.openMs !== undefined) {
        opened++
        openMs = death.openMs
      }
      // Every other time a reader looks, and it is the next child that recovers.
      const readOnly = kill % 2 === 0
      if (readOnly && !(await readdir(directory).catch((): string[] => [])).includes('MANIFEST')) continue
      const table = await FlashTable.open(directory, { ...KILL_OPTIONS, readOnly })
      const found = await wholeCalls(table)
      merges += (await table.stats()).levels.length > 1 ? 1 : 0
      await table.close()
      expect(found, `kill ${kill}, seed ${SEED}`).toBeGreaterThanOrEqual(death.acknowledged)
      callsPut += found - first
      first = found
    }
    console.log(
      `${KILLS} kills, ${opened} of them of an open table; ${callsPut} calls put; ${merges} times merged files were found`,
    )
    expect(callsPut).toBeGreaterThan(KILLS)
    expect(merges).toBeGreaterThan(0)
  },
)
