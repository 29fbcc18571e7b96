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
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { FlashTable } from '../../src/index.js'
import { Random } from '../support/random.js'
import { sizeOf, recordsOf } from './kill-calls.js'
import { KILL_OPTIONS } from './kill-options.js'

const KILLS = Number(process.env['FLASHTABLE_KILLS'] ?? 10)
const SEED = Number(process.env['FLASHTABLE_SEED'] ?? Date.now() % 1_000_000)
const CHILD = fileURLToPath(new URL('./kill-child.ts', import.meta.url))
/** The child dies at most so long after it has begun to put. */
const LIFE_MS_MAX = 400
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
  /** It had opened the table. */
  readonly opened: boolean
}

/** Lets a child put calls from `first` on, and kills it `lifeMs` after it has opened the table, or at its start. */
async function killed(directory: string, first: number, lifeMs: number, atStart: boolean): Promise<Death> {
  const child = spawn(process.execPath, ['--import', 'tsx', CHILD, directory, String(first)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const ended = once(child, 'exit')
  const done = new Set<number>()
  let opened = false
  let kill: Promise<void> | undefined
  const killLater = async (ms: number): Promise<void> => {
    await sleep(ms)
    child.kill('SIGKILL')
  }
  // Somewhere in the start of the process, in the open, or soon after it.
  if (atStart) kill = killLater(400 + 3 * lifeMs)
  for await (const line of createInterface(child.stdout)) {
    if (line.startsWith('open')) {
      opened = true
      kill ??= killLater(lifeMs)
    } else done.add(Number(line))
  }
  await kill
  expect(await ended).toEqual([null, 'SIGKILL'])
  let acknowledged = first
  while (done.has(acknowledged)) acknowledged++
  // Those that wait together may resolve in any order; none may be missing below one that has resolved.
  return { acknowledged: Math.max(acknowledged, ...[...done].map(call => call + 1)), opened }
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
  { timeout: 30_000 + KILLS * 20_000 },
  async () => {
    const random = new Random(SEED)
    let [opened, calls, merges] = [0, 0, 0]
    let directory = ''
    let first = 0
    for (let kill = 0; kill < KILLS; kill++) {
      if (kill % KILLS_PER_TABLE === 0) [directory, first] = [join(root, `table-${kill}`), 0]
      const death = await killed(directory, first, random.below(LIFE_MS_MAX), random.chance(0.25))
      if (death.opened) opened++
      // Every other time a reader looks, and it is the next child that recovers.
      const readOnly = kill % 2 === 0
      if (readOnly && !(await readdir(directory).catch((): string[] => [])).includes('MANIFEST')) continue
      const table = await FlashTable.open(directory, { ...KILL_OPTIONS, readOnly })
      const found = await wholeCalls(table)
      merges += (await table.stats()).levels.length > 1 ? 1 : 0
      await table.close()
      expect(found, `kill ${kill}, seed ${SEED}`).toBeGreaterThanOrEqual(death.acknowledged)
      calls += found - first
      first = found
    }
    console.log(
      `${KILLS} kills, ${opened} of them of an open table; ${calls} calls put; ${merges} times merged files were found`,
    )
    expect(calls).toBeGreaterThan(KILLS)
    expect(merges).toBeGreaterThan(0)
  },
)
