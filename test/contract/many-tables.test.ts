/** Many tables of one process: what they take together while nobody uses them. */
import { existsSync } from 'node:fs'
import { expect, test } from 'vitest'
import { FlashTable } from '../../src/index.js'
import { BufferBudget } from '../../src/state/buffer-budget.js'
import { nodeEnvironment } from '../../src/table/environment.js'
import { LIBRARY, programOf } from '../support/programs.js'
import { startNode } from '../support/run-cli.js'
import { testTables } from '../support/tables.js'
import { until } from '../support/until.js'

const tables = testTables({ onDisk: true })

test.skipIf(!existsSync('/proc/self/task'))(
  '60 tables that have sealed and merged have four threads at most, four descriptors each, and no thread once closed',
  async () => {
    const program = await programOf(
      `import { FlashTable } from ${LIBRARY}
       import { readdirSync } from 'node:fs'
       import { Worker } from 'node:worker_threads'
       const count = what => readdirSync('/proc/self/' + what).length
       let workers = 0
       const emit = process.emit
       process.emit = function (name, ...rest) {
         if (name === 'worker') {
           workers++
           most = Math.max(most, workers)
           rest[0].once('exit', () => workers--)
         }
         return emit.call(this, name, ...rest)
       }
       let most = 0
       const descriptors = count('fd')
       const tables = []
       for (let i = 0; i < 60; i++) {
         const options = { keyEncoding: 'u64', bufferBytes: 2 ** 16, walBytes: 2 ** 18, fanout: 2 }
         tables.push(await FlashTable.open(${JSON.stringify(tables.path())} + i, options))
       }
       const key = BigUint64Array.from({ length: 8000 }, (_, i) => BigInt(i))
       for (let round = 0; round < 4; round++) await Promise.all(tables.map(table => table.putColumns({ key })))
       await Promise.all(tables.map(table => table.compact()))
       const open = count('fd') - descriptors
       await Promise.all(tables.map(table => table.close()))
       console.log(most > 0 && most <= 4, workers, open)`,
    )
    const { stdout, stderr } = await startNode(program).result
    expect(stderr).toBe('')
    const [bounded, left, open] = stdout.trim().split(' ')
    expect(bounded).toBe('true')
    expect(left).toBe('0')
    // The directory, log and bucket file of each; and what the threads have.
    expect(Number(open)).toBeLessThanOrEqual(60 * 4 + 100)
  },
)

test('tables whose memory is short together flush early, the fullest first, and lose nothing', async () => {
  const budget = new BufferBudget(2 ** 19)
  const environment = { ...nodeEnvironment, budget }
  const options = { keyEncoding: 'u64', bufferBytes: 2 ** 24, syncIntervalMs: Infinity } as const
  const opened: FlashTable[] = []
  for (let i = 0; i < 4; i++) opened.push(await FlashTable.openIn(tables.path(), options, environment))
  const key = BigUint64Array.from({ length: 5000 }, (_, i) => BigInt(i))
  for (let round = 0; round < 12; round++) {
    for (const [i, table] of opened.entries())
      if (round % (i + 1) === 0) await table.putColumns({ key } as never)
  }
  // 60,000 keys of 8 bytes, and as many in the others.
  await until(
    'the fullest table has flushed',
    () => opened[0]!.stats(),
    ({ files }) => files.length > 0,
  )
  for (const [i, table] of opened.entries()) {
    expect((await table.stats()).records).toBe(5000 * Math.ceil(12 / (i + 1)))
    expect(await table.count(17n)).toBe(Math.ceil(12 / (i + 1)))
    await table.close()
  }
  expect(budget.bytes).toBe(0)
})

test.skipIf(!existsSync('/proc/self/task'))(
  'a thousand small tables are open at once in little memory and address space, with few threads',
  async () => {
    const program = await programOf(
      `import { FlashTable } from ${LIBRARY}
       import { readdirSync, readFileSync } from 'node:fs'
       const count = what => readdirSync('/proc/self/' + what).length
       const kib = name => Number(new RegExp(name + ':[^0-9]*([0-9]+)').exec(readFileSync('/proc/self/status', 'utf8'))[1])
       const before = { rss: kib('VmRSS'), size: kib('VmSize'), descriptors: count('fd'), threads: count('task') }
       const tables = []
       for (let i = 0; i < 1000; i++)
         tables.push(await FlashTable.open(${JSON.stringify(tables.path())} + i, { keyEncoding: 'u64', valueEncoding: 'u32' }))
       for (const [i, table] of tables.entries()) await table.put(1n, i)
       let found = 0
       for (const [i, table] of tables.entries()) if (table.getSync(1n) === i) found++
       console.log(
         found,
         (kib('VmRSS') - before.rss) / 1024,
         (kib('VmSize') - before.size) / 1024,
         count('fd') - before.descriptors,
         count('task') - before.threads,
       )
       await Promise.all(tables.map(table => table.close()))`,
    )
    const { stdout, stderr } = await startNode(program).result
    expect(stderr).toBe('')
    const [found, rssMiB, sizeMiB, descriptors, threads] = stdout.trim().split(' ').map(Number)
    expect(found).toBe(1000)
    expect(rssMiB).toBeLessThan(240)
    expect(sizeMiB).toBeLessThan(2048)
    // The directory and the log of each, and its lock.
    expect(descriptors).toBeLessThanOrEqual(3 * 1000 + 50)
    expect(threads).toBeLessThanOrEqual(8)
  },
)
