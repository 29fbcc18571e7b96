/** `flashtable replicate`, beside a program that writes the table. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { expect, test } from 'vitest'
import { FlashTable, directoryStore, type ReplicaStatus } from '../../src/index.js'
import { testCli } from './cli-tables.js'
import { LIBRARY, programOf } from '../support/programs.js'

const { cli, freshPath, smallTable } = testCli()

/** The command, with the states that it prints. */
function replicating(table: string, store: string) {
  const { child, result } = cli.start('replicate', table, store, '--every', '1s', '--json')
  const states: ReplicaStatus[] = []
  createInterface(child.stdout!).on('line', line => states.push(JSON.parse(line) as ReplicaStatus))
  return { child, states, result }
}

test('it publishes what is there, once', async () => {
  const [table, store] = [await smallTable(), freshPath()]
  expect(await cli.run('replicate', table, store, '--once')).toMatchObject({
    code: 0,
    stdout: expect.stringMatching(/^version 1, up to date, in file:\S+\n$/) as string,
    stderr: '',
  })
  const told = JSON.parse(
    (await cli.run('replicate', table, store, '--once', '--json')).stdout,
  ) as ReplicaStatus
  expect(told).toMatchObject({ lagRecords: 0, ended: true })
  expect((await cli.run('count', store)).stdout).toBe('3\n')
  const copy = freshPath()
  await FlashTable.restore(directoryStore(store), copy)
  const refused = await cli.run('replicate', copy, store, '--once')
  expect(refused.code).toBe(1)
  expect(refused.stderr).toMatch(/FLASHTABLE_FENCED: .* --take-over/)
  expect((await cli.run('replicate', copy, store, '--once', '--take-over')).code).toBe(0)
  expect((await cli.run('replicate', table, store, '--every', 'soon')).code).not.toBe(0)
  expect((await cli.run('replicate', freshPath(), store)).stderr).toMatch(/FLASHTABLE_NOT_FOUND/)
})

test('a store that is not there at the start is tried until it is, but with --once', async () => {
  const [table, blocked] = [await smallTable(), freshPath()]
  await writeFile(blocked, 'no directory')
  const store = join(blocked, 'store')
  expect(await cli.run('replicate', table, store, '--once')).toMatchObject({
    code: 1,
    stderr: expect.stringMatching(/^flashtable: FLASHTABLE_UNAVAILABLE: /) as string,
  })
  const given = cli.start('replicate', table, store)
  await once(given.child.stderr!, 'data')
  given.child.kill('SIGINT')
  expect(await given.result).toMatchObject({ code: 130 })
  const { child, states, result } = replicating(table, store)
  await once(child.stderr!, 'data')
  expect(states).toEqual([])
  await rm(blocked)
  await expect.poll(() => states.length).toBeGreaterThan(0)
  child.kill('SIGTERM')
  expect(await result).toMatchObject({
    code: 0,
    stderr: expect.stringMatching(/ENOTDIR.*; it is tried until it succeeds\n$/) as string,
  })
  expect((await cli.run('count', store)).stdout).toBe('3\n')
})

test('it runs beside the writer, and SIGTERM publishes the rest and ends it', async () => {
  const [table, store] = [freshPath(), freshPath()]
  const writer = await FlashTable.open(table, { keyEncoding: 'u32', bufferBytes: 65_536, fanout: 2 })
  await writer.put(0)
  const { child, states, result } = replicating(table, store)
  await expect.poll(() => states.length).toBeGreaterThan(0)
  for (let key = 1; key < 20_000; key += 1000) {
    await writer.putColumns({ key: Uint32Array.from({ length: 1000 }, (_, i) => key + i) })
  }
  await expect.poll(() => states.at(-1)!.sequence).toBe(20_001)
  await writer.put(50_000)
  child.kill('SIGTERM')
  expect(await result).toMatchObject({ code: 0, stderr: '' })
  expect(states.at(-1)).toMatchObject({ sequence: 20_002, ended: true })
  const reader = await FlashTable.openRemote(directoryStore(store))
  expect(await reader.count()).toBe(20_002)
  await reader.close()
  await writer.close()
})

test('of a writer that is killed the store has all that was told, and the next life goes on', async () => {
  const [table, store] = [freshPath(), freshPath()]
  const first = await FlashTable.open(table, { keyEncoding: 'u32' })
  await first.put(0)
  await first.close()
  const { child, states, result } = replicating(table, store)
  const program = await programOf(WRITER)
  for (let life = 0; life < 2; life++) {
    const writer = spawn(process.execPath, [program, table], {
      stdio: 'ignore',
    })
    const seen = states.at(-1)?.sequence ?? 0
    await expect.poll(() => states.at(-1)?.sequence ?? 0).toBeGreaterThan(seen + 100)
    writer.kill('SIGKILL')
    await once(writer, 'exit')
  }
  child.kill('SIGINT')
  expect((await result).code).toBe(0)
  const told = states.at(-1)!.sequence
  const table2 = await FlashTable.open(table, { keyEncoding: 'u32' })
  const copy = freshPath()
  const { sequence } = await FlashTable.restore(directoryStore(store), copy, { verify: true })
  expect(sequence).toBe(told)
  const restored = await FlashTable.open(copy)
  // A prefix of what the table has: keys ascend.
  const keys: number[] = []
  for await (const key of restored.keys()) keys.push(key as number)
  expect(keys).toEqual(Array.from({ length: told }, (_, at) => at))
  expect(await table2.count()).toBeGreaterThanOrEqual(told)
  await restored.close()
  await table2.close()
})

/** Puts numbers from the next one on, until it is killed. */
const WRITER = `
import { FlashTable } from ${LIBRARY}
const table = await FlashTable.open(process.argv[2], { keyEncoding: 'u32', bufferBytes: 16384 })
for (let key = (await table.stats()).sequence.next; ; key++) {
  await table.put(key)
  if (key % 50 === 0) await new Promise(resolve => setTimeout(resolve, 5))
}
`
