/** What repair saves and tells, case by case. */
import { describe, expect, test } from 'vitest'
import { FlashTable, struct } from '../../src/index.js'
import { UNFINISHED_MANIFEST_NAME, bucketName, walName } from '../../src/io/file-names.js'
import { serializeManifest } from '../../src/manifest/manifest.js'
import { repairTable, type RepairOptions } from '../../src/offline/repair/repair.js'
import { verifyTable } from '../../src/offline/verify.js'
import {
  contentsOf,
  DIRECTORY,
  makeTable,
  manifestOf,
  newDisk,
  openTable,
  OPTIONS,
  PAGE_BYTES,
  SCHEMA,
  stateAfter,
  type Step,
} from '../support/damaged-table.js'
import { simulatedEnvironment } from '../support/simulated-environment.js'
import type { SimulatedFileSystem } from '../support/simulated-file-system.js'

const INTO = '/tables/saved'
const MANIFEST = `${DIRECTORY}/MANIFEST`
const ONE_SEGMENT = { ...OPTIONS, walBytes: 2 ** 20 }

const repair = (disk: SimulatedFileSystem, options: RepairOptions = {}, into = INTO) =>
  repairTable(DIRECTORY, into, {
    environment: simulatedEnvironment(disk),
    bufferBytes: 2 ** 16,
    ...options,
  })

async function puts(
  table: FlashTable,
  count: number,
  options: { sync?: boolean } = {},
  from = 0,
): Promise<string[]> {
  const records: string[] = []
  for (let i = from; i < from + count; i++) {
    await table.put(i, { time: i % 100, id: i % 7 }, options)
    records.push(`${i}:${i % 100}:${i % 7}`)
  }
  return records.sort()
}

/** The only segment with frames. */
const segmentOf = (disk: SimulatedFileSystem): string =>
  `${DIRECTORY}/${walName(manifestOf(disk).log.closed[0]!.number)}`

describe('repair tells', () => {
  test('how many operations are missing where the log is cut before the end that the manifest says', async () => {
    const disk = newDisk()
    const table = await openTable(disk, DIRECTORY, ONE_SEGMENT)
    await puts(table, 100, { sync: true })
    await table.close()
    disk.writeFile(segmentOf(disk), disk.readFile(segmentOf(disk)).subarray(0, 40 * PAGE_BYTES))
    const { records, losses } = await repair(disk)
    expect(records).toBe(40)
    expect(losses).toMatchObject([{ file: segmentOf(disk), operations: 60 }])
  })

  test('a damaged footer, whose delete-where entries it saves all the same', async () => {
    const disk = newDisk()
    const table = await openTable(disk)
    await puts(table, 500)
    await table.compact()
    await table.delWhere({ id: 3 })
    for (let i = 0; i < 300; i++) await table.put(1000 + i, { time: 1, id: 1 })
    await table.close()
    const right = await contentsOf(disk.clone(), DIRECTORY)
    const { files } = manifestOf(disk)
    const last = files.at(-1)!
    expect(files.length).toBeGreaterThan(1)
    const path = `${DIRECTORY}/${bucketName(last.number)}`
    for (const byte of [4, 20, 50, 68, 72, 100]) {
      const damaged = disk.clone()
      damaged.flipByte(path, (last.pages - 1) * PAGE_BYTES + byte)
      const { losses } = await repair(damaged)
      expect(losses).toMatchObject([{ file: path, offset: (last.pages - 1) * PAGE_BYTES }])
      expect(losses[0]!.reason).toContain('footer')
      expect(await contentsOf(damaged, INTO)).toEqual(right)
    }
  })

  test('a damaged footer once, where there are no delete-where entries', async () => {
    const disk = newDisk()
    const table = await openTable(disk)
    await puts(table, 500)
    await table.compact()
    await table.close()
    const right = await contentsOf(disk.clone(), DIRECTORY)
    const [entry] = manifestOf(disk).files
    const path = `${DIRECTORY}/${bucketName(entry!.number)}`
    disk.flipByte(path, (entry!.pages - 1) * PAGE_BYTES + 30)
    const { losses } = await repair(disk)
    expect(losses).toMatchObject([{ file: path, offset: (entry!.pages - 1) * PAGE_BYTES }])
    expect(await contentsOf(disk, INTO)).toEqual(right)
  })

  test('delete-where entries that are lost, and that what they hid may come back', async () => {
    const disk = newDisk()
    const table = await openTable(disk)
    await puts(table, 500)
    await table.compact()
    await table.delWhere({ id: 3 })
    for (let i = 0; i < 300; i++) await table.put(1000 + i, { time: 1, id: 1 })
    await table.close()
    const last = manifestOf(disk).files.at(-1)!
    const path = `${DIRECTORY}/${bucketName(last.number)}`
    const bytes = disk.readFile(path)
    const page = Array.from({ length: last.pages }, (_, i) => i).find(i => bytes[i * PAGE_BYTES + 4] === 3)!
    disk.flipByte(path, page * PAGE_BYTES + 100)
    const { losses } = await repair(disk)
    expect(losses).toMatchObject([{ file: path, offset: page * PAGE_BYTES, operations: 1 }])
    expect(losses[0]!.reason).toContain('may come back')
    expect((await contentsOf(disk, INTO)).filter(record => record.endsWith(':3')).length).toBeGreaterThan(0)
  })

  test('one damaged page once, with its records and the keys around it', async () => {
    const disk = newDisk()
    const table = await openTable(disk, DIRECTORY, { ...OPTIONS, bufferBytes: 2 ** 20, walBytes: 2 ** 21 })
    const key = Uint32Array.from({ length: 12_000 }, (_, i) => i)
    const time = Uint16Array.from(key, i => (i * 7919) % 65_536)
    await table.putColumns({ key, time, id: time })
    await table.compact()
    await table.close()
    const [entry] = manifestOf(disk).files
    const path = `${DIRECTORY}/${bucketName(entry!.number)}`
    disk.flipByte(path, PAGE_BYTES + 100)
    const { records, losses } = await repair(disk)
    expect(losses).toMatchObject([{ file: path, offset: PAGE_BYTES, operations: 12_000 - records }])
    expect(Number(losses[0]!.before) - Number(losses[0]!.after)).toBe(12_001 - records)
  })

  test('a frame that is torn at the end of an unclean log', async () => {
    const disk = newDisk()
    const table = await openTable(disk, DIRECTORY, ONE_SEGMENT)
    const records = await puts(table, 20, { sync: true })
    const killed = disk.clone()
    await table.close()
    const path = killed.files().find(name => name.endsWith('.wal'))!
    for (const byte of [0, 5, 9, 13, 17, 23]) {
      const damaged = killed.clone()
      damaged.flipByte(path, 19 * PAGE_BYTES + byte)
      const { losses } = await repair(damaged)
      expect(losses, `byte ${byte}`).toHaveLength(1)
      expect(losses[0]!.file).toBe(path)
      expect(await contentsOf(damaged, INTO)).toEqual(records.filter(record => !record.startsWith('19:')))
    }
  })

  test('frames in the same page as a damaged one are saved', async () => {
    const disk = newDisk()
    const table = await openTable(disk, DIRECTORY, ONE_SEGMENT)
    const records = await puts(table, 30)
    await table.close()
    disk.flipByte(segmentOf(disk), 2)
    const { losses } = await repair(disk)
    expect(losses).toMatchObject([{ operations: 1 }])
    expect(await contentsOf(disk, INTO)).toEqual(records.filter(record => !record.startsWith('0:')))
  })
})

describe('without the manifest, repair', () => {
  test('saves all records of an intact log although nothing has been sealed', async () => {
    const disk = newDisk()
    const table = await openTable(disk, DIRECTORY, { ...ONE_SEGMENT, bufferBytes: 2 ** 20 })
    const records = await puts(table, 1000)
    await table.delWhere({ id: 5 })
    await table.close()
    disk.removeFile(MANIFEST)
    const { losses } = await repair(disk, SCHEMA)
    expect(losses.map(({ reason }) => reason)).toEqual(['the manifest'])
    expect(await contentsOf(disk, INTO)).toEqual(records.filter(record => !record.endsWith(':5')))
  })

  test('reads a log whose beginning is damaged', async () => {
    const disk = newDisk()
    const table = await openTable(disk, DIRECTORY, ONE_SEGMENT)
    const records = await puts(table, 100, { sync: true })
    await table.close()
    const path = segmentOf(disk)
    disk.removeFile(MANIFEST)
    disk.writeFile(path, disk.readFile(path).fill(0xee, 0, 3 * PAGE_BYTES))
    const { losses } = await repair(disk, SCHEMA)
    expect(losses.map(({ reason }) => reason).join()).toContain('operations 0 to 2')
    const lost = ['0:', '1:', '2:']
    expect(await contentsOf(disk, INTO)).toEqual(
      records.filter(record => !lost.some(start => record.startsWith(start))),
    )
  })

  test('reads a small log after a damaged first frame', async () => {
    const disk = newDisk()
    const table = await openTable(disk, DIRECTORY, ONE_SEGMENT)
    const records = await puts(table, 5)
    await table.close()
    // A byte of its record: the header still looks like one.
    disk.flipByte(segmentOf(disk), 20)
    disk.removeFile(MANIFEST)
    await repair(disk, SCHEMA)
    expect(await contentsOf(disk, INTO)).toEqual(records.filter(record => !record.startsWith('0:')))
  })

  test('does not believe the one checksum of a small frame: bytes that look like one are no records', async () => {
    const disk = newDisk()
    const table = await openTable(disk, DIRECTORY, ONE_SEGMENT)
    const records = await puts(table, 100)
    await table.close()
    const path = segmentOf(disk)
    const bytes = Uint8Array.from(disk.readFile(path))
    // After the log of this table, as what is left of another file: it has a header like that of a small frame.
    const frame = bytes.slice(0, 40)
    frame[0]! ^= 0x55
    const end = Math.ceil(bytes.length / PAGE_BYTES) * PAGE_BYTES
    const stranger = new Uint8Array(end + 2 * PAGE_BYTES)
    stranger.set(bytes)
    stranger.set(frame, end + PAGE_BYTES)
    disk.writeFile(path, stranger)
    const other = `${DIRECTORY}/000999.wal`
    const garbage = new Uint8Array(2 * PAGE_BYTES).fill(0xee)
    garbage.set(frame, 512)
    disk.writeFile(other, garbage)
    disk.removeFile(MANIFEST)
    const { losses } = await repair(disk, SCHEMA)
    expect(await contentsOf(disk, INTO)).toEqual(records)
    expect(losses).toContainEqual(
      expect.objectContaining({ file: other, reason: 'no frame is intact in it' }),
    )
  })

  test('reads bucket files without footers', async () => {
    const history: Step[] = []
    const disk = await makeTable(false, history)
    const { files } = manifestOf(disk)
    for (const { number, pages } of files)
      disk.flipByte(`${DIRECTORY}/${bucketName(number)}`, (pages - 1) * PAGE_BYTES + 30)
    disk.removeFile(MANIFEST)
    const { losses } = await repair(disk, SCHEMA)
    expect(losses.length).toBeGreaterThan(files.length)
    const saved = new Set(await contentsOf(disk, INTO))
    for (const record of stateAfter(history, history.length)) expect(saved.has(record), record).toBe(true)
  })

  test('takes nothing of older lives of a segment: what was deleted stays deleted', async () => {
    const disk = newDisk()
    let table = await openTable(disk)
    for (let life = 0; life < 6; life++) {
      await puts(table, 600, {}, life * 600)
      for (let i = 0; i < 300; i++) await table.del(life * 600 + i)
      await table.compact()
      await table.close()
      table = await openTable(disk)
    }
    await puts(table, 10, {}, 9000)
    await table.close()
    const right = await contentsOf(disk.clone(), DIRECTORY)
    disk.removeFile(MANIFEST)
    await repair(disk, SCHEMA)
    expect(await contentsOf(disk, INTO)).toEqual(right)
  })

  test('takes a merge and its inputs once', async () => {
    const disk = newDisk()
    const table = await openTable(disk, DIRECTORY, { ...OPTIONS, fanout: 64 })
    await puts(table, 2000)
    await table.close()
    const before = disk.clone()
    const again = await openTable(disk)
    await again.compact()
    await again.close()
    for (const path of before.files())
      if (path.endsWith('.bucket')) disk.writeFile(path, before.readFile(path))
    const right = await contentsOf(disk.clone(), DIRECTORY)
    disk.removeFile(MANIFEST)
    const { losses } = await repair(disk, SCHEMA)
    expect(await contentsOf(disk, INTO)).toEqual(right)
    expect(losses.map(({ reason }) => reason)).toEqual(['the manifest'])
  })

  test('saves a checkpoint, whose files have two writers, and leaves files of another table out', async () => {
    const disk = newDisk()
    const table = await openTable(disk)
    await puts(table, 600)
    await table.checkpoint('/tables/copy')
    await puts(table, 600, {}, 5000)
    await table.close()
    const copy = await openTable(disk, '/tables/copy')
    await puts(copy, 600, {}, 1000)
    await copy.close()
    const right = await contentsOf(disk.clone(), '/tables/copy')
    disk.removeFile('/tables/copy/MANIFEST')
    const environment = simulatedEnvironment(disk)
    await repairTable('/tables/copy', INTO, { environment, ...SCHEMA })
    expect(await contentsOf(disk, INTO)).toEqual(right)
    const strange = disk.files().filter(path => path.startsWith(`${DIRECTORY}/`) && path.endsWith('.bucket'))
    const name = strange.at(-1)!.slice(DIRECTORY.length)
    disk.writeFile(`/tables/copy/000999.bucket`, disk.readFile(`${DIRECTORY}${name}`))
    const { losses } = await repairTable('/tables/copy', '/tables/second', { environment, ...SCHEMA })
    expect(losses.some(({ file }) => file.endsWith('000999.bucket'))).toBe(true)
    expect(await contentsOf(disk, '/tables/second')).toEqual(right)
  })

  test.each([
    ['of more fields', { keyEncoding: 'u32', valueEncoding: struct({ a: 'u16', b: 'u16', c: 'u16' }) }],
    ['of a wider key', { keyEncoding: 'u64', valueEncoding: struct({ time: 'u16', id: 'u16' }) }],
    ['of narrower fields', { keyEncoding: 'u32', valueEncoding: struct({ time: 'u8', id: 'u8' }) }],
  ])('refuses a schema %s, and leaves nothing', async (_, schema) => {
    const disk = newDisk()
    const table = await openTable(disk)
    for (let i = 0; i < 400; i++) await table.put(i, { time: 300 + i, id: i })
    await table.close()
    for (const logOnly of [false, true]) {
      const damaged = disk.clone()
      damaged.removeFile(MANIFEST)
      for (const path of damaged.files()) if (path.endsWith('.bucket') && logOnly) damaged.removeFile(path)
      await expect(repair(damaged, schema)).rejects.toMatchObject({ code: 'FLASHTABLE_SCHEMA_MISMATCH' })
      expect(damaged.files().filter(path => path.startsWith(INTO))).toEqual([])
    }
  })
})

describe('an older manifest that was put back', () => {
  test('does not keep the records from being saved that its successors have', async () => {
    const disk = newDisk()
    const table = await openTable(disk)
    await puts(table, 700)
    await table.close()
    const older = disk.readFile(MANIFEST)
    const again = await openTable(disk)
    await puts(again, 700, {}, 2000)
    await again.del(5)
    await again.compact()
    await again.close()
    const right = await contentsOf(disk.clone(), DIRECTORY)
    disk.writeFile(MANIFEST, older)
    const { problems } = await verifyTable(DIRECTORY, { fileSystem: disk })
    expect(problems.map(({ message }) => message).join()).toContain('it is an older one')
    const { losses } = await repair(disk)
    expect(losses[0]!.reason).toContain('is newer')
    expect(await contentsOf(disk, INTO)).toEqual(right)
  })
})

describe('a repair', () => {
  test('beside a writer that changes the table says so, and leaves nothing', async () => {
    const disk = newDisk()
    const table = await openTable(disk)
    await puts(table, 700)
    let changed = false
    const onProgress = (): void => {
      if (changed) return
      changed = true
      const older = manifestOf(disk)
      disk.writeFile(MANIFEST, serializeManifest({ ...older, epoch: older.epoch + 1 }))
    }
    await expect(repair(disk, { onProgress })).rejects.toMatchObject({ code: 'FLASHTABLE_IO_ERROR' })
    expect(disk.files().filter(path => path.startsWith(INTO))).toEqual([])
  })

  test('that is interrupted or fails leaves nothing that passes for a table', async () => {
    const disk = await makeTable(false)
    const controller = new AbortController()
    const reason = new Error('enough')
    const onProgress = ({ done }: { done: number }): void => {
      if (done > 3) controller.abort(reason)
    }
    await expect(repair(disk, { signal: controller.signal, onProgress })).rejects.toBe(reason)
    expect(disk.files().filter(path => path.startsWith(INTO))).toEqual([])
    // Killed: what is left says what it is.
    const steps = disk.clone()
    await repair(steps)
    const killed = disk.clone({ crashAt: Math.floor(steps.calls / 2) })
    await repairTable(DIRECTORY, INTO, { environment: simulatedEnvironment(killed) }).catch(() => {})
    const left = killed.crashState(1)
    expect(left.files()).toContain(`${INTO}/${UNFINISHED_MANIFEST_NAME}`)
    await expect(openTable(left, INTO)).rejects.toMatchObject({ code: 'FLASHTABLE_CORRUPTION' })
    await expect(repair(left)).rejects.toMatchObject({ code: 'FLASHTABLE_EXISTS' })
  })

  test('on a disk that is full rejects with FLASHTABLE_DISK_FULL and gives the space back', async () => {
    const disk = await makeTable(false)
    disk.capacityBytes = disk.files().reduce((sum, path) => sum + disk.readFile(path).length, 0) + 10_000
    await expect(repair(disk)).rejects.toMatchObject({ code: 'FLASHTABLE_DISK_FULL' })
    expect(disk.files().filter(path => path.startsWith(INTO))).toEqual([])
  })

  test('is durable when it says that it is done', async () => {
    const disk = await makeTable(false)
    await repair(disk)
    const right = await contentsOf(disk.clone(), INTO)
    expect(await contentsOf(disk.crashState(7), INTO)).toEqual(right)
    expect((await verifyTable(INTO, { fileSystem: disk })).problems).toEqual([])
  })

  test.each([DIRECTORY, `${DIRECTORY}/saved`, '/tables'])('does not write to %s', async into => {
    const disk = await makeTable(false)
    await expect(repair(disk, {}, into)).rejects.toMatchObject({ code: 'FLASHTABLE_INVALID_OPTION' })
  })

  test('reads past sectors that cannot be read', async () => {
    const history: Step[] = []
    const disk = await makeTable(false, history)
    const [entry] = manifestOf(disk).files
    const path = `${DIRECTORY}/${bucketName(entry!.number)}`
    const fails = (position: number, length: number): boolean => position <= 7 && position + length > 7
    const environment = simulatedEnvironment(failingReads(disk, path, fails))
    const { losses, records } = await repairTable(DIRECTORY, INTO, { environment })
    expect(losses).toMatchObject([{ file: path, offset: 0 }])
    expect(records).toBeGreaterThan(500)
  })
})

/** A disk on which reads of some bytes of one file fail. */
function failingReads(
  disk: SimulatedFileSystem,
  bad: string,
  fails: (position: number, length: number) => boolean,
): SimulatedFileSystem {
  return new Proxy(disk, {
    get(target, name) {
      if (name !== 'open') {
        const member: unknown = Reflect.get(target, name, target)
        return typeof member === 'function' ? (member.bind(target) as unknown) : member
      }
      return async (path: string, mode: 'read') => {
        const handle = await target.open(path, mode)
        if (path !== bad) return handle
        return new Proxy(handle, {
          get(file, method) {
            if (method === 'read') {
              return (buffer: Uint8Array, position: number) =>
                fails(position, buffer.byteLength)
                  ? Promise.reject(Object.assign(new Error('EIO: i/o error, read'), { code: 'EIO' }))
                  : file.read(buffer, position)
            }
            const member: unknown = Reflect.get(file, method, file)
            return typeof member === 'function' ? (member.bind(file) as unknown) : member
          },
        })
      }
    },
  })
}
