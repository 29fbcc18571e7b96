/** Opens a table, puts, and finds the record again after a reopen: for .ci/run, where fs-ext is not compiled. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { FlashTable, struct } from '../../src/index.js'

const directory = await mkdtemp(join(tmpdir(), 'flashtable-open-'))
try {
  const options = { keyEncoding: 'u64', valueEncoding: struct({ time: 'u16' }) } as const
  const table = await FlashTable.open(directory, options)
  await table.put(1n, { time: 17 })
  await table.close()
  const again = await FlashTable.open(directory, options)
  const record = await again.get(1n)
  await again.close()
  if (record?.time !== 17) throw new Error('the record was not found again')
} finally {
  await rm(directory, { recursive: true })
}
