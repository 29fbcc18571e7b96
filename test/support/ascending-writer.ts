/**
 * A process of its own that puts fingerprint 0, 1, 2, ... with its number as the key into the table `argv[2]`, and compacts
 * now and then. It notes how many are acknowledged in the file `argv[3]`, and ends when its input ends.
 */
import { rename, writeFile } from 'node:fs/promises'
import { FlashTable } from '../../src/index.js'
import { FINGERPRINT, fingerprintColumns } from './fingerprints.js'

const ROWS_PER_CALL = 250
const COMPACT_EVERY_CALLS = 40

const [, , directory, notes] = process.argv as [string, string, string, string]
const table = await FlashTable.open(directory, {
  ...FINGERPRINT,
  bufferBytes: 16_384,
  walBytes: 16_384,
  fanout: 3,
})
const input = { open: true }
process.stdin.once('end', () => (input.open = false)).resume()
let count = 0
for (let call = 1; input.open; call++) {
  await table.putColumns(fingerprintColumns(count, count + ROWS_PER_CALL, BigInt))
  count += ROWS_PER_CALL
  await writeFile(`${notes}.new`, String(count))
  await rename(`${notes}.new`, notes)
  if (call % COMPACT_EVERY_CALLS === 0) await table.compact()
}
await table.close()
