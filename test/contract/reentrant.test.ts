/** Encodings of the caller's that use the table while it encodes: odd, but nothing may break. */
import { expect, test } from 'vitest'
import { FlashTable, fixed } from '../../src/index.js'
import { simulatedEnvironment } from '../support/simulated-environment.js'
import { SimulatedFileSystem } from '../support/simulated-file-system.js'

test('an encoding that puts another record while it encodes does not overfill a commit group', async () => {
  const disk = new SimulatedFileSystem({ seed: 1 })
  disk.writeFile('/tables/.keep', new Uint8Array(0))
  let inner: Promise<void>[] = []
  const open: { table?: FlashTable } = {}
  const valueEncoding = fixed(
    {
      name: 'reentrant',
      format: 'view' as const,
      encode: (value: number) => {
        if (value < 1000) inner.push(open.table!.put(1_000_000 + value, 1000 + value))
        return Uint8Array.of(value & 255, value >>> 8)
      },
      decode: (bytes: Uint8Array) => bytes[0]! + 256 * bytes[1]!,
    },
    2,
  )
  // 170 records to a memtable, and as many to a group.
  const options = { keyEncoding: 'u32', valueEncoding, bufferBytes: 1024 }
  const table = await FlashTable.openIn('/tables/reentrant', options, simulatedEnvironment(disk))
  open.table = table
  // One single record, so that the pairs do not fill a group evenly.
  inner.push(table.put(5_000_000, 1000))
  const outer = Array.from({ length: 200 }, (_, i) => table.put(i, i))
  await Promise.all(outer)
  await Promise.all(inner)
  inner = []
  for (let i = 0; i < 200; i++) {
    expect(table.getSync(i)).toBe(i)
    expect(table.getSync(1_000_000 + i)).toBe(1000 + i)
  }
  await table.close()
})

test.each(['put', 'batch'] as const)(
  'a %s whose encoding closes the table is refused, and the table ends well',
  async call => {
    const disk = new SimulatedFileSystem({ seed: 1 })
    disk.writeFile('/tables/.keep', new Uint8Array(0))
    const open: { table?: FlashTable; closed?: Promise<void> } = {}
    const encoding = {
      name: 'closing',
      format: 'view' as const,
      encode: (value: number) => {
        if (value === 2) open.closed = open.table!.close()
        return Uint8Array.of(value)
      },
      decode: (bytes: Uint8Array) => bytes[0]!,
    }
    const options = { keyEncoding: 'u32', valueEncoding: fixed(encoding, 1) }
    const table = await FlashTable.openIn('/tables/closing', options, simulatedEnvironment(disk))
    open.table = table
    await table.put(1, 1)
    const last = call === 'put' ? table.put(2, 2) : table.batch([{ type: 'put', key: 2, value: 2 }])
    await expect(last).rejects.toMatchObject({ code: 'FLASHTABLE_NOT_OPEN' })
    await open.closed
    const again = await FlashTable.openIn('/tables/closing', options, simulatedEnvironment(disk))
    expect([again.getSync(1), again.getSync(2)]).toEqual([1, undefined])
    await again.close()
  },
)
