/**
 * A process to be killed: puts calls from number `argv[3]` on into the table `argv[2]`, some at a time, and writes the
 * number of each to its output once it is acknowledged, and `merged` once a merged file is in the manifest. It runs until it
 * is killed.
 */
import { subscribe } from 'node:diagnostics_channel'
import { writeSync } from 'node:fs'
import type { TableEvent } from '../../src/base/events.js'
import { FlashTable } from '../../src/index.js'
import { nodeEnvironment } from '../../src/table/environment.js'
import { isSynced, recordsOf } from './kill-calls.js'
import { KILL_OPTIONS } from './kill-options.js'

/** Calls that wait together. */
const AT_ONCE = 24
/** Calls between two `compact`, which nobody awaits. */
const COMPACT_EVERY = 3000

const [, , directory, first] = process.argv
const table = await FlashTable.openIn(directory!, KILL_OPTIONS, { ...nodeEnvironment, runsPerFlush: 3 })

async function put(call: number): Promise<void> {
  const records = recordsOf(call)
  const options = { sync: isSynced(call) }
  if (records.length === 1) await table.put(records[0]!.key, { call, index: 0 }, options)
  else {
    const columns = {
      key: BigUint64Array.from(records, ({ key }) => BigInt(key)),
      call: Uint32Array.from(records, ({ call }) => call),
      index: Uint16Array.from(records, ({ index }) => index),
    }
    await table.putColumns(columns, options)
  }
  say(`${call}\n`)
}

/** Blocking, so that no acknowledgement is on its way when the process dies; the pipe may be full for a moment. */
function say(text: string): void {
  for (;;) {
    try {
      writeSync(1, text)
      return
    } catch (error) {
      if ((error as { code?: unknown }).code !== 'EAGAIN') throw error
    }
  }
}

subscribe('flashtable:compaction', event => {
  if ((event as TableEvent).kind === 'merge') say('merged\n')
})
let next = Number(first)
say(`open ${next}\n`)
let compacting: Promise<void> | undefined
for (;;) {
  const end = next + AT_ONCE
  await Promise.all(Array.from({ length: AT_ONCE }, (_, i) => put(next + i)))
  if (Math.floor(end / COMPACT_EVERY) > Math.floor(next / COMPACT_EVERY)) {
    compacting ??= table.compact().finally(() => (compacting = undefined))
  }
  next = end
}
