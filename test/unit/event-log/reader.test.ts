/** The reader of the event log: damage, rotation, and lines that are still to come. */
import { Buffer } from 'node:buffer'
import { describe, expect, test } from 'vitest'
import { eventLine } from '../../../src/event-log/event.js'
import { EventLogReader } from '../../../src/event-log/reader.js'
import { SimulatedFileSystem } from '../../support/simulated-file-system.js'

const DIRECTORY = '/table'
const LOG = `${DIRECTORY}/LOG.jsonl`
const OLD = `${DIRECTORY}/LOG.old.jsonl`
const TOTALS = {
  files: 1,
  put: { records: 0, bytes: 0 },
  written: { wal: 0, buckets: 0, manifest: 0, events: 0 },
}

const line = (reason: string): string => eventLine(0, { event: 'clear', reason }, TOTALS)

function diskWith(files: Readonly<Record<string, string>>): SimulatedFileSystem {
  const disk = new SimulatedFileSystem()
  for (const [path, content] of Object.entries(files)) disk.writeFile(path, Buffer.from(content))
  return disk
}

async function newIn(reader: EventLogReader): Promise<string> {
  return (await reader.readNew()).map(({ reason }) => reason).join(' ')
}

/** Adds to a file that a reader has open, as the writer does. */
async function append(disk: SimulatedFileSystem, content: string): Promise<void> {
  const file = await disk.open(LOG, 'update').catch(() => disk.open(LOG, 'create'))
  await file.write(Buffer.from(content), await file.size())
  await file.close()
}

describe('the reader', () => {
  test('reads the older file first, and skips what is no line', async () => {
    const disk = diskWith({
      [OLD]: `${line('a')}\u0000\u0001\n${line('b')}`,
      [LOG]: `${'x'.repeat(200_000)}\n${line('c')}{"time":\n\n${line('d')}${line('torn').slice(0, 20)}`,
    })
    const reader = new EventLogReader(disk, DIRECTORY)
    expect(await newIn(reader)).toBe('a b c d')
    await reader.close()
    expect(disk.openHandles).toBe(0)
  })

  test('goes on with what is added, torn lines when they are whole', async () => {
    const disk = diskWith({ [LOG]: line('a') })
    const reader = new EventLogReader(disk, DIRECTORY)
    expect(await newIn(reader)).toBe('a')
    expect(await newIn(reader)).toBe('')
    const b = line('b')
    await append(disk, b.slice(0, 30))
    expect(await newIn(reader)).toBe('')
    await append(disk, b.slice(30) + line('c'))
    expect(await newIn(reader)).toBe('b c')
    await reader.close()
  })

  test('follows the writer to the next file, without a gap', async () => {
    const disk = diskWith({ [LOG]: line('a') })
    const reader = new EventLogReader(disk, DIRECTORY)
    expect(await newIn(reader)).toBe('a')
    await append(disk, line('b'))
    await disk.rename(LOG, OLD)
    expect(await newIn(reader)).toBe('b')
    await append(disk, line('c'))
    expect(await newIn(reader)).toBe('c')
    await reader.close()
    expect(disk.openHandles).toBe(0)
  })

  test('misses nothing where the file is put aside while it opens it', async () => {
    const disk = diskWith({ [OLD]: line('gone'), [LOG]: line('a') })
    const reader = new EventLogReader(disk, DIRECTORY)
    disk.onCall = async ({ op, path }) => {
      if (op !== 'open' || path !== OLD) return
      disk.onCall = undefined
      await disk.rename(LOG, OLD)
      await append(disk, line('b'))
    }
    expect(await newIn(reader)).toBe('a b')
    await reader.close()
    expect(disk.openHandles).toBe(0)
  })

  test('begins again where somebody has emptied the file', async () => {
    const disk = diskWith({ [LOG]: line('a') + line('b') })
    const reader = new EventLogReader(disk, DIRECTORY)
    await newIn(reader)
    disk.writeFile(LOG, Buffer.from(line('c')))
    expect(await newIn(reader)).toBe('c')
    await reader.close()
  })

  test('finds no events in a table without a log, and waits for it', async () => {
    const disk = diskWith({ [`${DIRECTORY}/MANIFEST`]: '' })
    const reader = new EventLogReader(disk, DIRECTORY)
    expect(await newIn(reader)).toBe('')
    await append(disk, line('a'))
    expect(await newIn(reader)).toBe('a')
    await reader.close()
  })

  test('says where there is no table, and where it cannot read', async () => {
    const empty = new EventLogReader(diskWith({ '/table/other': '' }), DIRECTORY)
    await expect(empty.readNew()).rejects.toMatchObject({ code: 'FLASHTABLE_NOT_FOUND' })
    const disk = diskWith({ [LOG]: line('a') })
    disk.failAt(({ op }) => op === 'read', 'EIO')
    const failing = new EventLogReader(disk, DIRECTORY)
    await expect(failing.readNew()).rejects.toMatchObject({ code: 'FLASHTABLE_IO_ERROR' })
    await failing.close()
    expect(disk.openHandles).toBe(0)
  })
})
