/**
 * A process to be killed: puts records into the table `argv[2]`, publishes them to the directory `argv[3]`, writes the
 * sequence number of each version to its output, and begins again.
 */
import { writeSync } from 'node:fs'
import process from 'node:process'
import { FlashTable, directoryStore, struct } from '../../src/index.js'

const [, , directory, url] = process.argv as [string, string, string, string]
const table = await FlashTable.open(directory, {
  keyEncoding: 'u64',
  valueEncoding: struct({ time: 'u16', id: 'i32' }),
  bufferBytes: 65_536,
})
const store = directoryStore(url)
for (;;) {
  const first = (await table.stats()).sequence.next
  const numbers = Array.from({ length: 500 }, (_, at) => first + at)
  await table.putColumns({
    key: BigUint64Array.from(numbers, number => BigInt(number * 7919)),
    time: Uint16Array.from(numbers, number => number % 1000),
    id: Int32Array.from(numbers),
  })
  writeSync(1, `${(await table.publish(store, { retention: 0 })).sequence}\n`)
}
