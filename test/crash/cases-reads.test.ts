/** Bugs that other storage engines had in reads, each a named test. The numbers: docs/durability.md, Crash cases. */
import { describe, expect, test } from 'vitest'
import { FlashTableError } from '../../src/index.js'
import { allSealed } from '../support/all-sealed.js'
import { codeOf, columns, filesOf, found, manifestOf, newDisk, put, records, SEED } from './cases.js'
import { contents, DIRECTORY, openOn } from './table.js'

describe(`reads (seed ${SEED})`, () => {
  test('case 18: what reads gave, and scans that run, stay the same over seals, merges and evicted pages', async () => {
    const disk = newDisk()
    const table = await openOn(disk, { cacheBytes: 65_536 })
    const rows = records(0, 65)
    for (let i = 0; i < 10; i++)
      await columns(
        table,
        rows.map(row => ({ ...row, time: row.time + 100 * i })),
      )
    const before = await contents(table)
    const keys = BigUint64Array.from(rows, ({ key }) => BigInt(key))
    const value = await table.get(rows[5]!.key)
    const all = await table.getAll(rows[5]!.key)
    const hits = await table.getColumns(keys)
    const kept = structuredClone({ value, all, hits })
    const scan = table.scanColumns()
    const scanned: { key: bigint; time: number }[] = []
    const take = ({ key, time }: { key: BigUint64Array; time: Uint16Array }): void => {
      for (let i = 0; i < key.length; i++) scanned.push({ key: key[i]!, time: time[i]! })
    }
    const first = await scan.next()
    if (first.done !== true) take(first.value)
    for (let i = 10; i < 25; i++)
      await columns(
        table,
        rows.map(row => ({ ...row, time: row.time + 100 * i })),
      )
    await table.compact()
    await table.getColumns(keys)
    expect({ value, all, hits }).toEqual(kept)
    for await (const stretch of scan) take(stretch)
    expect(scanned.map(({ key, time }) => `${key}:${time}`).join(' ')).toBe(
      before.replace(/:-?\d+(?= |$)/g, ''),
    )
  })

  test(
    'case 21: a flip of any byte of any file is told, or changes nothing; it is never returned',
    { timeout: 300_000 },
    async () => {
      const disk = newDisk()
      const table = await openOn(disk)
      await columns(table, records(0, 30))
      await table.delWhere({ id: -3 })
      await table.compact()
      await columns(table, records(100, 8), true)
      const right = await contents(table)
      await table.close()
      const { files, log } = manifestOf(disk)
      expect([files.length, log.closed.length]).toEqual([1, 1])
      let told = 0
      let bytes = 0
      for (const path of filesOf(disk, '')) {
        const { length } = disk.readFile(path)
        for (let offset = 0; offset < length; offset++) {
          const damaged = disk.clone()
          damaged.flipByte(path, offset, 1 << (offset % 8))
          // Nothing depends on the event log, so nothing is told.
          if (!path.includes('/LOG.')) bytes++
          try {
            const reader = await openOn(damaged, { readOnly: true })
            if ((await contents(reader)) !== right) throw new Error(`${path} at ${offset}: a wrong answer`)
            await reader.close()
          } catch (error) {
            if (!(error instanceof FlashTableError)) throw error
            expect(['FLASHTABLE_CORRUPTION', 'FLASHTABLE_UNSUPPORTED_FORMAT']).toContain(error.code)
            expect(error.path).toBe(path)
            told++
          }
        }
      }
      // What may be flipped unseen: the padding of the log behind its last frame.
      expect(told).toBeGreaterThan(0.8 * bytes)
    },
  )

  test('case 25: a page, a segment or a file in the place of another is damage, though its checksum was right there', async () => {
    const disk = newDisk()
    const options = { bufferBytes: 8192, walBytes: 32_768, fanout: 8 }
    const table = await openOn(disk, options)
    const rows = (from: number) =>
      records(from, 500).map(row => ({ ...row, key: (row.key * 48_271) % 1e9, id: row.id * 30_011 }))
    for (let i = 0; i < 3; i++) await columns(table, rows(500 * i))
    await put(table, records(9000, 1), true)
    await allSealed(table)
    await table.close()
    const [first, second] = filesOf(disk, '.bucket')
    const bytes = disk.readFile(first!)
    expect(bytes.length).toBeGreaterThan(3 * 4096)
    const swapped = bytes.slice()
    swapped.set(bytes.subarray(0, 4096), 4096)
    swapped.set(bytes.subarray(4096, 8192), 0)
    const foreign = disk.readFile(second!)
    const onePage = bytes.slice()
    onePage.set(foreign.subarray(0, 4096), 0)
    const segments = manifestOf(disk).log.closed.map(
      ({ number }) => `${DIRECTORY}/${String(number).padStart(6, '0')}.wal`,
    )
    expect(segments.length).toBe(1)
    const spare = filesOf(disk, '.wal').find(path => !segments.includes(path))
    const misplaced: (readonly [string, Uint8Array])[] = [
      [first!, swapped],
      [first!, foreign],
      [first!, onePage],
      ...(spare === undefined ? [] : [[segments[0]!, disk.readFile(spare)] as const]),
    ]
    for (const [path, content] of misplaced) {
      const damaged = disk.clone()
      damaged.writeFile(path, content)
      expect(await codeOf(found(damaged, options))).toBe('FLASHTABLE_CORRUPTION')
    }
  })
})
