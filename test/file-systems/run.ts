/**
 * `npm run test:file-systems`: a table on file systems that are unlike ext4, each mounted for it. Needs Linux and root;
 * what cannot be done here is skipped, and it says why. `--only NAME ...` runs some of them.
 */
import { strict as assert } from 'node:assert'
import { fork, spawn, execFileSync, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { FlashTable } from '../../src/index.js'
import { realLockParts } from '../../src/io/lock.js'
import { verifyTable } from '../../src/offline/verify.js'
import { FINGERPRINT, fingerprint } from '../support/fingerprints.js'
import type { FromAgent } from '../support/lock-agent.js'
import { FILE_SYSTEMS, Unavailable, mountFileSystem } from './mounts.js'

const scriptOf = (name: string): string => fileURLToPath(new URL(`../support/${name}`, import.meta.url))
const LOCKED = { code: 'FLASHTABLE_LOCKED' }
const OPTIONS = { ...FINGERPRINT, bufferBytes: 16_384, fanout: 3 }
const RECORDS = 5000

/** Load, kill -9, open, compact, checkpoint, verify. */
async function life(directory: string): Promise<void> {
  const location = join(directory, 'table')
  const holder = spawn(process.execPath, ['--import', 'tsx', scriptOf('hold-table.ts'), location], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  const lines = createInterface(holder.stdout)[Symbol.asyncIterator]()
  assert.equal((await lines.next()).value, 'open')
  holder.stdin.write(`${RECORDS}\n`)
  assert.equal((await lines.next()).value, String(RECORDS))
  await assert.rejects(FlashTable.open(location), LOCKED)
  await kill(holder)

  const table = await FlashTable.open(location, OPTIONS)
  assert.equal(await table.count(1n), RECORDS)
  for (let i = 0; i < RECORDS; i += 500) {
    const puts = Array.from({ length: 500 }, (_, j) => table.put(2n, fingerprint(i + j)))
    await Promise.all(puts)
  }
  await table.sync()
  const copy = join(directory, 'copy')
  await table.checkpoint(copy)
  await table.compact()
  await table.close()
  for (const path of [location, copy]) {
    assert.deepEqual((await verifyTable(path)).problems, [])
    const opened = await FlashTable.open(path, { ...FINGERPRINT, readOnly: true })
    assert.equal(await opened.count(2n), RECORDS)
    await opened.close()
  }
}

/** Two processes want the lock of a dead one, with the pid file alone: each time exactly one gets it. */
async function contention(directory: string): Promise<void> {
  const agents = ['without-flock', 'without-flock'].map(argument =>
    fork(scriptOf('lock-agent.ts'), [argument], { execArgv: ['--import', 'tsx'] }),
  )
  const ask = async (agent: ChildProcess, message: object): Promise<FromAgent> => {
    const answer = once(agent, 'message')
    agent.send(message)
    return ((await answer) as [FromAgent])[0]
  }
  try {
    await Promise.all(agents.map(agent => once(agent, 'message')))
    const dead = { ...(await realLockParts().processes.self()), pid: 2 ** 22 + 1, flock: false }
    for (let round = 0; round < 10; round++) {
      const token = String(round).repeat(32)
      await (
        await realLockParts()
          .fileSystem.open(join(directory, 'LOCK'), 'create')
          .then(async file => {
            await file.write(Buffer.from(JSON.stringify({ ...dead, token })), 0)
            return file
          })
      ).close()
      const answers = await Promise.all(agents.map(agent => ask(agent, { take: directory, timeoutMs: 0 })))
      const winners = agents.filter((_, i) => 'taken' in answers[i]!)
      assert.equal(winners.length, 1, JSON.stringify(answers))
      await ask(winners[0]!, { release: true })
    }
  } finally {
    for (const agent of agents) await kill(agent)
  }
}

async function kill(child: ChildProcess): Promise<void> {
  const exit = once(child, 'exit')
  child.kill('SIGKILL')
  await exit
}

/** Of a table that was closed, on a mount that is read-only now. */
async function readOnly(directory: string): Promise<void> {
  execFileSync('mount', ['-o', 'remount,ro', dirname(directory)])
  const location = join(directory, 'table')
  const reader = await FlashTable.open(location, { readOnly: true })
  assert.equal(await reader.count(2n), RECORDS)
  await reader.close()
  assert.deepEqual((await verifyTable(location)).problems, [])
  await assert.rejects(
    FlashTable.open(location),
    (error: Error & { code: string; cause: { code: string } }) => {
      assert.equal(error.code, 'FLASHTABLE_IO_ERROR')
      assert.equal(error.cause.code, 'EROFS')
      return true
    },
  )
}

async function test(name: string): Promise<void> {
  const { directory, unmount } = mountFileSystem(name)
  try {
    await life(directory)
    await contention(directory)
    if (name === 'tmpfs') await readOnly(directory)
  } finally {
    unmount()
  }
}

async function main(only: readonly string[]): Promise<void> {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) {
    console.log('file systems are skipped: that needs Linux and root')
    return
  }
  for (const name of Object.keys(FILE_SYSTEMS)) {
    if (only.length > 0 && !only.includes(name)) continue
    const startMs = performance.now()
    try {
      await test(name)
      console.log(`${name}: ok, ${((performance.now() - startMs) / 1000).toFixed(1)} s`)
    } catch (error) {
      if (!(error instanceof Unavailable)) throw new Error(`${name} failed`, { cause: error })
      console.log(`${name}: skipped, ${error.message}`)
    }
  }
}

await main(process.argv.slice(2).filter(argument => argument !== '--only'))
