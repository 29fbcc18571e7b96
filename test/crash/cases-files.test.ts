/** Bugs that other storage engines had in files, directories and merges, each a named test. The numbers: docs/durability.md, Crash cases. */
import { describe, expect, test } from 'vitest'
import { allSealed } from '../support/all-sealed.js'
import { type DataMode, SimulatedFileSystem } from '../support/simulated-file-system.js'
import { codeOf, columns, found, isOn, manifestOf, newDisk, put, records, SEED } from './cases.js'
import { explore } from './explorer.js'
import { type CrashRecord, stateText } from './history.js'
import { contents, MEMTABLE_RECORDS, openOn } from './table.js'

describe(`files and directories (seed ${SEED})`, () => {
  test('case 5: files whose directory entries a power cut may drop are not needed yet', async () => {
    const disk = newDisk()
    const table = await openOn(disk)
    const expected: CrashRecord[] = []
    for (let i = 0; i < 8; i++) {
      expected.push(...records(100 * i, 60))
      await columns(table, records(100 * i, 60), true)
      for (const data of ['all', 'none'] as DataMode[]) {
        for (const entries of ['none', 'any'] as const) {
          expect(await found(disk.crashState(SEED + i, { data, entries }))).toBe(stateText(expected))
        }
      }
    }
    expect(manifestOf(disk).files.length).toBeGreaterThan(0)
  })

  test('case 11: no stop between log and manifest looks like damage', async () => {
    const { states } = await explore('mixed', { states: 150, seed: SEED })
    expect(states).toBeGreaterThan(100)
  })

  test('case 12: what is put while a compaction ends and the log is recycled is not skipped', async () => {
    for (const during of ['rename', 'syncDirectory', 'unlink', 'close'] as const) {
      const disk = newDisk()
      const table = await openOn(disk)
      const expected: CrashRecord[] = []
      let more = 1000
      const putting: Promise<void>[] = []
      for (let i = 0; i < 6; i++) {
        expected.push(...records(100 * i, MEMTABLE_RECORDS))
        await columns(table, records(100 * i, MEMTABLE_RECORDS))
        const compacting = table.compact()
        disk.onCall = ({ op }) => {
          if (op !== during) return
          disk.onCall = undefined
          expected.push(...records(more, 7))
          putting.push(columns(table, records(more, 7), true))
          more += 7
        }
        await compacting
        await Promise.all(putting)
      }
      disk.onCall = undefined
      expect(putting.length).toBeGreaterThan(4)
      expect(await found(disk.crashState(SEED))).toBe(stateText(expected))
      expect(await found(disk.clone())).toBe(stateText(expected))
    }
  })

  test('case 13: a deleted key does not come back when newer files are merged without the oldest', async () => {
    const disk = newDisk()
    const table = await openOn(disk, { fanout: 3 })
    const rows = records(0, MEMTABLE_RECORDS)
    const seal = async (): Promise<void> => {
      const sealed = manifestOf(disk).nextSequence
      for (let i = 0; i < 50 && manifestOf(disk).nextSequence === sealed; i++) {
        await new Promise(resolve => void setImmediate(resolve))
      }
    }
    await columns(table, rows)
    const older = records(20_000, 9 * MEMTABLE_RECORDS)
    for (let i = 0; i < 9; i++)
      await columns(table, older.slice(i * MEMTABLE_RECORDS, (i + 1) * MEMTABLE_RECORDS))
    await table.compact()
    const oldest = manifestOf(disk).files[0]!.number
    await table.del(rows[3]!.key)
    const { key, time, id } = rows[5]!
    await table.delRecord(key, { time, id })
    await table.delWhere({ id: rows[7]!.id })
    const expected = [...rows.filter((_, i) => ![3, 5, 7].includes(i)), ...older]
    for (let i = 1; i < 12; i++) {
      const more = records(1000 + 100 * i, MEMTABLE_RECORDS - 2)
      expected.push(...more)
      await columns(table, more)
      await seal()
      expect(await contents(table)).toBe(stateText(expected))
    }
    const merged = disk.log.filter(isOn('.bucket', 'unlink')).map(({ path }) => path)
    expect(merged.length).toBeGreaterThan(2)
    expect(manifestOf(disk).files[0]!.number).toBe(oldest)
    await table.close()
    expect(await found(disk)).toBe(stateText(expected))
    const last = await openOn(disk)
    await last.compact()
    expect(await contents(last)).toBe(stateText(expected))
    expect(manifestOf(disk).files.length).toBe(1)
  })

  test('case 14: a stop between the removals of old files and segments loses nothing', async () => {
    const live = async (disk: SimulatedFileSystem): Promise<CrashRecord[]> => {
      const acknowledged: CrashRecord[] = []
      const table = await openOn(disk)
      for (let i = 0; i < 7; i++) {
        await columns(table, records(100 * i, MEMTABLE_RECORDS), true)
        acknowledged.push(...records(100 * i, MEMTABLE_RECORDS))
      }
      await table.compact()
      return acknowledged
    }
    const whole = newDisk()
    const all = await live(whole)
    const removals = whole.log.filter(({ op }) => op === 'unlink' || op === 'rename')
    expect(removals.length).toBeGreaterThan(8)
    for (const { step } of removals) {
      const disk = newDisk({ crashAt: step })
      await live(disk).catch(() => {})
      for (const entries of ['none', 'all', 'any'] as const) {
        const left = await found(disk.crashState(step, { entries }))
        const prefixes = all.map((_, i) => i + 1).filter(count => count % MEMTABLE_RECORDS === 0)
        expect(['', ...prefixes.map(count => stateText(all.slice(0, count)))]).toContain(left)
      }
    }
  })

  test('case 15: a log that could not be written any more is kept, and replayed', async () => {
    for (const code of ['EIO', 'ENOSPC']) {
      const disk = newDisk()
      const table = await openOn(disk)
      await columns(table, records(0, 60))
      await put(table, records(60, 1))
      disk.failAt(({ op }) => op === 'write' || op === 'create', code, { repeat: 'sticky', effect: 'none' })
      expect(await codeOf(columns(table, records(61, 60)))).toBe(
        code === 'EIO' ? 'FLASHTABLE_POISONED' : 'FLASHTABLE_DISK_FULL',
      )
      await table.close().catch(() => {})
      expect(disk.openHandles).toBe(0)
      disk.clearFaults()
      expect(await found(disk)).toBe(stateText(records(0, 61)))
    }
  })

  test('case 28: numbers of files, epochs and sequences come from counters, where randomness always gives the same', async () => {
    const disk = newDisk()
    const epochs: number[] = []
    const created: string[] = []
    let sequence = 0
    for (let life = 0; life < 5; life++) {
      const before = disk.calls
      const table = await openOn(disk)
      for (let i = 0; i < 3; i++) await columns(table, records(1000 * life + 100 * i, 60))
      await allSealed(table)
      if (life % 2 === 0) await table.close()
      const manifest = manifestOf(disk)
      epochs.push(manifest.epoch)
      expect(manifest.nextSequence).toBeGreaterThanOrEqual(sequence)
      sequence = manifest.nextSequence
      const names = disk.log.slice(before).flatMap(call => {
        if (call.op === 'create' && /\d\.(wal|bucket)$/.test(call.path)) return [call.path]
        return call.op === 'rename' && call.target!.endsWith('.wal') ? [call.target!] : []
      })
      created.push(...names)
    }
    expect(epochs).toEqual([...new Set(epochs)].toSorted((a, b) => a - b))
    expect(epochs.length).toBe(5)
    const numbers = created.map(path => path.replace(/\.\w+$/, ''))
    expect(new Set(numbers).size).toBe(numbers.length)
  })
})
