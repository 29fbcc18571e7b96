/**
 * A process of its own that uses up its descriptors (`ulimit -n`) while a table seals and merges, and gives them back.
 *
 * Arguments: a directory, and the compiled library. From the sources each thread would open the files of all modules as it
 * starts, and be short of descriptors for that. It says which codes its calls were rejected with, and how many records are there in the end.
 */
import { closeSync, openSync } from 'node:fs'
import process from 'node:process'
import { setTimeout as sleep } from 'node:timers/promises'

const { FlashTable } = (await import(process.argv[3]!)) as typeof import('../../src/index.js')
const table = await FlashTable.open(process.argv[2]!, {
  keyEncoding: 'u64',
  bufferBytes: 4096,
  walBytes: 16_384,
  fanout: 4,
})
let put = 0
const codes = new Set<unknown>()
async function fill(): Promise<void> {
  const key = BigUint64Array.from({ length: 400 }, (_, i) => BigInt(put + i))
  try {
    await table.putColumns({ key })
    put += 400
  } catch (error) {
    codes.add((error as { code?: unknown }).code)
  }
}

for (let i = 0; i < 5; i++) await fill()
const taken: number[] = []
try {
  for (;;) taken.push(openSync('/dev/null', 'r'))
} catch {
  // All are taken.
}
for (let i = 0; i < 8; i++) await fill()
const { waitingForResources } = await table.stats().catch(() => ({ waitingForResources: true }))
for (const descriptor of taken) closeSync(descriptor)
for (let tries = 0; tries < 200; tries++) {
  const before = put
  await fill()
  if (put > before) break
  await sleep(50)
}
for (let i = 0; i < 10; i++) await fill()
await table.compact()
await table.close()
const again = await FlashTable.open(process.argv[2]!)
let found = 0
for await (const _ of again.keys()) found++
await again.close()
console.log(JSON.stringify({ codes: [...codes], waitingForResources, lost: put - found }))
