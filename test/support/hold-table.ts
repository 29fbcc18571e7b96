/**
 * A process of its own that has the table `argv[2]` open, and never closes it.
 *
 * It says `open`. For each line of its input, a number n, it puts n fingerprints of key 1, and when they have resolved
 * it says how many there are.
 */
import { createInterface } from 'node:readline'
import { FlashTable } from '../../src/index.js'
import { FINGERPRINT, fingerprint } from './fingerprints.js'

const table = await FlashTable.open(process.argv[2]!, { ...FINGERPRINT, bufferBytes: 16_384, fanout: 3 })
console.log('open')
let next = await table.count(1n)
for await (const line of createInterface(process.stdin)) {
  const puts: Promise<void>[] = []
  for (const end = next + Number(line); next < end;) puts.push(table.put(1n, fingerprint(next++)))
  await Promise.all(puts)
  console.log(String(next))
}
