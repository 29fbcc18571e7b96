/** Memory that is lacking: an error as all others, with a code, and with what to do; the call may be made again. */
import { afterEach, describe, expect, test, vi } from 'vitest'
import { FlashTable } from '../../src/index.js'
import { TableReader } from '../../src/query/reader.js'
import { MemtablePool } from '../../src/state/memtable-pool.js'
import { nodeEnvironment } from '../../src/table/environment.js'
import { testTables } from '../support/tables.js'

const noMemory = (): RangeError => new RangeError('Array buffer allocation failed')
const expected = {
  name: 'FlashTableError',
  code: 'FLASHTABLE_IO_ERROR',
  message: expect.stringMatching(/the system is short of memory: .*smaller cacheBytes and bufferBytes$/),
  cause: { name: 'RangeError' },
}

describe('where the engine has no memory for an array', () => {
  const tables = testTables()
  afterEach(() => void vi.restoreAllMocks())

  test('an open says so, and succeeds later', async () => {
    const location = tables.path()
    const options = { keyEncoding: 'u32' } as const
    const environment = {
      ...nodeEnvironment,
      randomBytes: () => {
        throw noMemory()
      },
    }
    await expect(FlashTable.openIn(location, options, environment)).rejects.toMatchObject(expected)
    await tables.open(location, options)
  })

  test.each(['getColumns', 'getMany'] as const)('a read says so, and succeeds later: %s', async call => {
    const table = await tables.open(tables.path(), { keyEncoding: 'u32' })
    await table.put(1)
    vi.spyOn(TableReader.prototype, 'findMany').mockRejectedValueOnce(noMemory())
    await expect(table[call]([1])).rejects.toMatchObject(expected)
    await table[call]([1])
  })

  test('a bulk load says so, and succeeds later', async () => {
    const location = tables.path()
    const load = () => FlashTable.bulkLoad(location, { keyEncoding: 'u32' }, [{ key: Uint32Array.of(1) }])
    vi.spyOn(MemtablePool.prototype, 'make').mockImplementationOnce(() => {
      throw noMemory()
    })
    await expect(load()).rejects.toMatchObject(expected)
    await (await load()).close()
  })
})
