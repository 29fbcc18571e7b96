/** What the user's callbacks, encodings and loops throw ends their own call, with that error, and harms nothing else. */
import { describe, expect, test } from 'vitest'
import { FlashTable, fixed } from '../../src/index.js'
import { repairTable } from '../../src/offline/repair/repair.js'
import { verifyTable } from '../../src/offline/verify.js'
import { allSealed } from '../support/all-sealed.js'
import { imageOf, sizesOf, testTables } from '../support/tables.js'

const OPTIONS = { keyEncoding: 'u64', bufferBytes: 4096, walBytes: 16_384, fanout: 8 } as const
const RECORDS = 2000

interface Report {
  readonly done: number
  readonly total: number
}

const OURS = new Error('thrown by the callback')
/** Callbacks that fail: at the first report, at the last one, later. */
const FAILING: [string, (report: Report) => unknown][] = [
  [
    'throws at once',
    () => {
      throw OURS
    },
  ],
  [
    'throws at the end',
    ({ done, total }) => {
      if (done === total) throw OURS
    },
  ],
  ['is asynchronous and rejects', () => Promise.reject(OURS)],
]

async function filled(table: FlashTable): Promise<void> {
  for (let from = 0; from < RECORDS; from += 400) {
    await table.putColumns({ key: BigUint64Array.from({ length: 400 }, (_, i) => BigInt(from + i)) })
  }
}

describe.each([
  ['in a thread', true],
  ['inline', false],
])('onProgress of compact() %s', (_, onDisk) => {
  const tables = testTables({ onDisk })

  test.each(FAILING)(
    'that %s: compact rejects with that, and the table is as it was',
    async (_, onProgress) => {
      const table = (await tables.open(tables.path(), OPTIONS)) as unknown as FlashTable
      await filled(table)
      const failed = await table.compact({ onProgress: onProgress as (report: Report) => void }).then(
        () => undefined,
        (error: unknown) => error,
      )
      expect(failed).toBe(OURS)
      await allSealed(table)
      const reports: Report[] = []
      await table.compact({ onProgress: report => reports.push(report) })
      expect(reports.at(-1)).toEqual({ done: RECORDS, total: RECORDS })
      const { files, records } = await table.stats()
      expect(records).toBe(RECORDS)
      // No output of the one that failed is left.
      const buckets = [...(await sizesOf(table.location)).keys()].filter(name => name.endsWith('.bucket'))
      expect(buckets).toEqual(files.map(file => file.name))
    },
  )
})

describe('onProgress', () => {
  const tables = testTables()

  test.each(FAILING)('of verify and repair that %s ends them with that', async (name, onProgress) => {
    const table = (await tables.open(tables.path(), OPTIONS)) as unknown as FlashTable
    await filled(table)
    await table.compact()
    await table.close()
    const before = await imageOf(table.location)
    const options = { onProgress: onProgress as (report: Report) => void }
    await expect(verifyTable(table.location, options)).rejects.toBe(OURS)
    const repaired = repairTable(table.location, tables.path(), options)
    // Its last report is of the pages of records, the total counts all.
    if (!name.includes('at the end')) await expect(repaired).rejects.toBe(OURS)
    await repaired.catch(() => {})
    expect(await imageOf(table.location)).toEqual(before)
  })
})

describe('a loop over a table', () => {
  const tables = testTables()
  const failing = { at: Infinity }
  const keyEncoding = fixed(
    {
      name: 'failing',
      format: 'view' as const,
      encode: (value: number) => {
        const bytes = new Uint8Array(4)
        new DataView(bytes.buffer).setUint32(0, value)
        return bytes
      },
      decode: (bytes: Uint8Array) => {
        const value = new DataView(bytes.buffer, bytes.byteOffset).getUint32(0)
        if (value === failing.at) throw OURS
        return value
      },
    },
    4,
  )

  test('that is left, that throws, or whose encoding throws holds nothing afterwards', async () => {
    const table = await tables.open(tables.path(), { keyEncoding, bufferBytes: 4096 })
    for (let i = 0; i < 50; i++) await table.put(i)
    for await (const _ of table.keys()) break
    const throwing = async (): Promise<void> => {
      for await (const _ of table.entries()) throw OURS
    }
    await expect(throwing()).rejects.toBe(OURS)
    const iterator = table.scanColumns()
    await iterator.next()
    await expect(iterator.throw(OURS)).rejects.toBe(OURS)
    failing.at = 30
    const decoding = async (): Promise<number> => {
      let rows = 0
      for await (const _ of table.keys()) rows++
      return rows
    }
    await expect(decoding()).rejects.toBe(OURS)
    expect((await table.stats()).pins).toBe(0)
    failing.at = Infinity
    expect(await decoding()).toBe(50)
  })
})

describe('a bulk load', () => {
  const tables = testTables()

  test('ends with what its source throws, wherever that is; the source is told of other failures', async () => {
    const columns = { key: new BigUint64Array(5) }
    let returned = 0
    const sources: [unknown, unknown][] = [
      [
        {
          [Symbol.iterator]() {
            throw OURS
          },
        },
        OURS,
      ],
      [{ [Symbol.asyncIterator]: () => ({ next: () => Promise.reject(OURS) }) }, OURS],
      [
        (function* () {
          yield columns
          throw OURS
        })(),
        OURS,
      ],
      [
        {
          [Symbol.iterator]: () => ({
            next: () => ({ done: false, value: { key: 'no column' } }),
            return() {
              returned++
              throw new Error('of the end, which nobody waits for')
            },
          }),
        },
        expect.objectContaining({ code: 'FLASHTABLE_INVALID_KEY' }),
      ],
    ]
    for (const [source, error] of sources) {
      const location = tables.path()
      await expect(
        FlashTable.bulkLoad(location, { keyEncoding: 'u64' }, source as Iterable<typeof columns>),
      ).rejects.toEqual(error)
      const table = await tables.open(location, { keyEncoding: 'u64' })
      expect((await table.stats()).records).toBe(0)
    }
    expect(returned).toBe(1)
  })
})
