/** Checkpoints of a table that a writer in another process has open, by readers: each holds a prefix of what was put. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { FlashTable } from '../../src/index.js'
import { verifyTable } from '../../src/offline/verify.js'
import { FINGERPRINT, fingerprint } from '../support/fingerprints.js'
import { programFile } from '../support/programs.js'

const COPIES = 6

/** How many records there are; throws unless they are those of 0 to n - 1, each once. */
async function prefixIn(directory: string): Promise<number> {
  const table = await FlashTable.open(directory, { ...FINGERPRINT, createIfMissing: false })
  let next = 0
  for await (const { key, time, id } of table.scanColumns()) {
    for (let row = 0; row < key.length; row++, next++) {
      const expected = fingerprint(next)
      const fits = key[row] === BigInt(next) && time[row] === expected.time && id[row] === expected.id
      if (!fits) throw new Error(`${directory}: record ${next} is ${key[row]} ${time[row]} ${id[row]}`)
    }
  }
  await table.close()
  return next
}

test('beside a writer that seals, merges and compacts, a checkpoint holds a prefix with all that was acknowledged', async () => {
  const root = await mkdtemp(join(tmpdir(), 'flashtable-outside-'))
  const [location, notes] = [join(root, 'table'), join(root, 'acknowledged')]
  const writer = spawn(process.execPath, [await programFile('ascending-writer.ts'), location, notes], {
    stdio: ['pipe', 'inherit', 'inherit'],
  })
  const ended = once(writer, 'exit')
  try {
    while (!existsSync(notes)) {
      if (writer.exitCode !== null) throw new Error('the writer has ended')
      await new Promise(resolve => void setImmediate(resolve))
    }
    const acknowledged = async (): Promise<number> => Number(await readFile(notes, 'utf8'))
    let last = 0
    for (let copy = 0; copy < COPIES; copy++) {
      // New records each time, and merges: the writer goes on.
      for (const from = last; (await acknowledged()) <= from;) {
        if (writer.exitCode !== null) throw new Error('the writer has ended')
      }
      const before = await acknowledged()
      const reader = await FlashTable.open(location, { readOnly: true })
      const directory = join(root, `copy${copy}`)
      await reader.checkpoint(directory)
      await reader.close()
      expect((await verifyTable(directory)).problems).toEqual([])
      last = await prefixIn(directory)
      expect(last).toBeGreaterThanOrEqual(before)
    }
    writer.stdin.end()
    expect(await ended).toEqual([0, null])
    expect((await verifyTable(location)).problems).toEqual([])
    expect(await prefixIn(location)).toBe(await acknowledged())
  } finally {
    writer.kill('SIGKILL')
    await ended
    await rm(root, { recursive: true, force: true })
  }
})
