/**
 * A reader in a process of its own, beside a writer: opens, checks, refreshes, checks, until time is up. Prints what it did
 * as JSON; exits with 1 at the first wrong answer.
 *
 * The writer puts batch b as 50 records with the key b and the id b, and notes in a file which batches it has had
 * acknowledged. A reader must see whole batches, all from 0 to some number, and none less than were noted before.
 */
import { readFile } from 'node:fs/promises'
import { FlashTable } from '../../src/index.js'

const [directory, notes, milliseconds] = process.argv.slice(2) as [string, string, string]
const RECORDS_PER_BATCH = 50

async function check(table: FlashTable, acknowledged: number): Promise<number> {
  const counts = new Map<number, number>()
  for await (const columns of table.scanColumns()) {
    for (const id of columns['id'] as unknown as Uint32Array) counts.set(id, (counts.get(id) ?? 0) + 1)
  }
  const batches = counts.size
  for (let batch = 0; batch < batches; batch++) {
    if (counts.get(batch) !== RECORDS_PER_BATCH)
      throw new Error(`batch ${batch} of ${batches}: ${counts.get(batch)} records`)
  }
  if (batches < acknowledged) throw new Error(`${batches} batches, but ${acknowledged} had been acknowledged`)
  for (const batch of [0, batches >>> 1, batches - 1]) {
    const count = await table.count(batch)
    if (count !== (batches === 0 ? 0 : RECORDS_PER_BATCH)) throw new Error(`key ${batch}: ${count} records`)
  }
  return batches
}

const endMs = performance.now() + Number(milliseconds)
let opens = 0
let refreshes = 0
let batches = 0
// However slow the machine is, it opens and refreshes once at least.
do {
  const before = Number(await readFile(notes, 'utf8'))
  const table = await FlashTable.open(directory, { readOnly: true, cacheBytes: 2 ** 20 })
  opens++
  batches = await check(table, before)
  for (let i = 0; i === 0 || (i < 5 && performance.now() < endMs); i++) {
    const acknowledged = Number(await readFile(notes, 'utf8'))
    await table.refresh()
    refreshes++
    const now = await check(table, acknowledged)
    if (now < batches) throw new Error(`${now} batches after ${batches}`)
    batches = now
  }
  await table.close()
} while (performance.now() < endMs)
console.log(JSON.stringify({ opens, refreshes, batches }))
