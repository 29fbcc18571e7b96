/** Many readers in other processes, without a lock, beside a writer that seals, merges, recycles its log and compacts. */
import { execFile } from 'node:child_process'
import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import { FlashTable, struct } from '../../src/index.js'
import { programFile } from '../support/programs.js'

const READERS = 4
/** `FLASHTABLE_READERS_MS=30000` for the long form. */
const DURATION_MS = Number(process.env['FLASHTABLE_READERS_MS'] ?? 6000)
const RECORDS_PER_BATCH = 50
/** However slow the machine is, it compacts once at least. */
const COMPACT_BATCHES = 400

test('four readers and a writer: whole batches, nothing acknowledged is missing, no false alarm', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'flashtable-readers-'))
  const location = join(directory, 'table')
  const notes = join(directory, 'acknowledged')
  const table = await FlashTable.open(location, {
    keyEncoding: 'u32',
    valueEncoding: struct({ id: 'u32' }),
    bufferBytes: 32_768,
    walBytes: 32_768,
    fanout: 3,
  })
  let batch = 0
  const put = async (): Promise<void> => {
    const key = new Uint32Array(RECORDS_PER_BATCH).fill(batch)
    await table.putColumns({ key, id: key })
    batch++
    await writeFile(`${notes}.new`, String(batch))
    await rename(`${notes}.new`, notes)
  }
  try {
    await put()
    const program = await programFile('reader-process.mts')
    const readers = Array.from({ length: READERS }, () =>
      promisify(execFile)(process.execPath, [program, location, notes, String(DURATION_MS)]),
    )
    const state = { running: true, hasCompacted: false }
    const done = Promise.allSettled(readers).then(results => {
      state.running = false
      return results
    })
    while (state.running || !state.hasCompacted) {
      await put()
      if (batch % COMPACT_BATCHES !== 0) continue
      await table.compact()
      state.hasCompacted = true
    }
    const results = await done
    for (const result of results) {
      if (result.status === 'rejected') throw result.reason
      const { opens, refreshes, batches } = JSON.parse(result.value.stdout) as Record<string, number>
      console.log(`a reader: ${opens} opens, ${refreshes} refreshes, ${batches} batches at last, of ${batch}`)
      expect(refreshes).toBeGreaterThan(0)
    }
    expect((await table.stats()).bytesWritten.buckets).toBeGreaterThan(0)
  } finally {
    await table.close()
    await rm(directory, { recursive: true, force: true })
  }
})
