/** Syncs of the log: what they cover, which calls share one, and what a failed one means. */
import { describe, expect, test } from 'vitest'
import { systemError } from '../../support/system-error.js'
import { DIRECTORY, failureOf, gate, Log, newLog, ONE, PAGE, replay, settle } from './log.js'

describe('WalWriter.sync', () => {
  test('a sync makes durable what was appended, the directory entry included', async () => {
    const log = await newLog()
    await log.append(10)
    expect(log.writer.syncedSequence).toBe(0)
    await log.sync()
    expect(log.writer.syncedSequence).toBe(10)
    await log.append(5)
    const after = log.disk.crashState(0, { data: 'none', entries: 'none' })
    expect((await replay(after)).endSequence).toBe(10)
  })

  test('a sync with nothing new does not touch the disk', async () => {
    const log = await newLog()
    await log.append()
    await log.sync()
    const before = log.disk.calls
    await log.sync()
    expect(log.disk.calls).toBe(before)
  })

  test('all calls that wait together share one sync', async () => {
    const log = await newLog()
    await log.append()
    await Promise.all([log.sync(), log.sync(), log.sync()])
    expect(log.calls('sync', 'syncDirectory')).toEqual(['sync 000001.wal', 'syncDirectory'])
  })

  test('a sync asked for while another runs waits, is shared, and covers what was appended before it', async () => {
    const log = await newLog()
    await log.append()
    const { waiting, open } = gate(log.disk, 'sync')
    const first = log.sync()
    await settle()
    await log.append()
    const second = log.sync()
    await log.append()
    const third = log.sync()
    await settle()
    expect(waiting.length).toBe(1)
    expect(log.writer.syncedSequence).toBe(0)
    waiting.shift()!()
    await first
    expect(log.writer.syncedSequence).toBe(1)
    await settle()
    expect(waiting.length).toBe(1)
    open()
    await Promise.all([second, third])
    expect(log.writer.syncedSequence).toBe(3)
    expect(log.calls('sync')).toEqual(['sync 000001.wal', 'sync 000001.wal'])
    expect((await replay(log.disk.crashState(0, { data: 'none' }))).endSequence).toBe(3)
  })

  test('a sync does not hold up appends, which go to the next page and are not covered', async () => {
    const log = await newLog()
    await log.append()
    const { waiting, open } = gate(log.disk, 'syncDirectory')
    const sync = log.sync()
    await settle()
    expect(waiting.length).toBe(1)
    await log.append()
    await log.append()
    expect(log.calls('write').slice(1)).toEqual([
      `write 000001.wal ${ONE} at ${PAGE}`,
      `write 000001.wal ${ONE} at ${PAGE + ONE}`,
    ])
    open()
    await sync
    expect(log.writer.syncedSequence).toBe(1)
    expect((await replay(log.disk)).tags).toEqual(log.tags)
    expect((await replay(log.disk.crashState(0, { data: 'none' }))).endSequence).toBe(1)
  })

  test('a sync waits for a large append that is being written, so that no frame is synced half-way', async () => {
    const log = await newLog()
    await log.append()
    const { waiting, open } = gate(log.disk, 'write')
    const append = log.append(20_000)
    const sync = log.sync()
    await settle()
    expect(waiting.length).toBe(1)
    expect(log.calls('sync')).toEqual([])
    open()
    await Promise.all([append, sync])
    expect(log.writer.syncedSequence).toBe(20_001)
    expect((await replay(log.disk.crashState(0, { data: 'none' }))).endSequence).toBe(20_001)
  })

  test('large appends that follow each other without a pause do not keep a sync waiting', async () => {
    const log = await newLog({ segmentBytes: 64 * 1024 * 1024 })
    await log.append()
    const sync = log.sync()
    let appends = 0
    while (log.writer.syncedSequence === 0 && appends < 20) {
      await log.append(5000)
      appends++
    }
    await sync
    expect(appends).toBeLessThan(20)
  })

  test('a sync covers an ended segment before the one after it', async () => {
    const log = await newLog()
    await log.append(3)
    expect(log.writer.rotate()).toEqual({ number: 1, epoch: 1, bytes: 64, firstSequence: 0, endSequence: 3 })
    await log.append(4)
    expect(log.writer.syncedSequence).toBe(0)
    await log.sync()
    expect(log.calls('sync', 'syncDirectory')).toEqual([
      'sync 000001.wal',
      'sync 000002.wal',
      'syncDirectory',
    ])
    expect(log.writer.syncedSequence).toBe(7)
    await log.append()
    await log.sync()
    expect(log.calls('sync').slice(2)).toEqual(['sync 000002.wal'])
    expect((await replay(log.disk.crashState(0, { data: 'none', entries: 'none' }))).endSequence).toBe(8)
  })

  test('the first sync of a new segment syncs the directory again', async () => {
    const log = await newLog()
    await log.append()
    await log.sync()
    log.writer.rotate()
    await log.append()
    await log.sync()
    expect(log.calls('syncDirectory').length).toBe(2)
    expect((await replay(log.disk.crashState(0, { data: 'none', entries: 'none' }))).endSequence).toBe(2)
  })
})

describe('a failed sync', () => {
  test.each(['EIO', 'ENOSPC'])('a failed sync with %s latches and is never tried again', async code => {
    const log = await newLog()
    await log.append(4)
    await log.sync()
    await log.append(4)
    log.disk.failAt(call => call.op === 'sync', code)
    const [first, second] = await Promise.all([failureOf(() => log.sync()), failureOf(() => log.sync())])
    expect([first.code, second.code]).toEqual(['FLASHTABLE_POISONED', 'FLASHTABLE_POISONED'])
    expect((await failureOf(() => log.sync())).code).toBe('FLASHTABLE_POISONED')
    expect((await failureOf(() => log.append())).code).toBe('FLASHTABLE_POISONED')
    expect(log.calls('sync').length).toBe(2)
    expect(log.writer.syncedSequence).toBe(4)
    // The kernel calls the pages clean: whatever it has kept, the log is a prefix with all that was synced.
    for (let seed = 0; seed < 50; seed++) {
      const { tags, endSequence } = await replay(log.disk.crashState(seed))
      expect(endSequence).toBeGreaterThanOrEqual(4)
      expect(tags).toEqual(log.tags.slice(0, endSequence))
    }
    log.disk.dropCache()
    expect((await replay(log.disk)).endSequence).toBeGreaterThanOrEqual(4)
  })

  test('a failed sync of the directory latches', async () => {
    const log = await newLog()
    await log.append()
    log.disk.failAt(call => call.op === 'syncDirectory', 'EIO')
    expect((await failureOf(() => log.sync())).code).toBe('FLASHTABLE_POISONED')
    expect(log.writer.syncedSequence).toBe(0)
  })

  test.each(['EACCES', 'EMFILE'])(
    'a failure to look at the directory with %s rejects the sync, latches nothing, and the next one looks again',
    async code => {
      const log = await newLog()
      await log.append(4)
      log.checkHome = () => Promise.reject(systemError(code, 'stat', DIRECTORY))
      expect((await failureOf(() => log.sync())).code).toBe('FLASHTABLE_IO_ERROR')
      expect(log.writer.syncedSequence).toBe(0)
      await log.append(4)
      log.checkHome = () => Promise.resolve()
      await log.sync()
      expect(log.writer.syncedSequence).toBe(8)
      for (let seed = 0; seed < 20; seed++) {
        expect((await replay(log.disk.crashState(seed))).tags).toEqual(log.tags)
      }
    },
  )

  test('a failed sync also rejects the sync that waits for it, and the append in flight', async () => {
    const log = await newLog()
    await log.append()
    const { waiting, open } = gate(log.disk, 'sync')
    const first = failureOf(() => log.sync())
    await settle()
    const second = failureOf(() => log.sync())
    log.disk.failAt(call => call.op === 'sync', 'EIO')
    const write = gateWrites(log)
    const append = failureOf(() => log.append(20_000))
    await settle()
    expect(waiting.length).toBe(1)
    open()
    waiting.forEach(resolve => resolve())
    expect((await first).code).toBe('FLASHTABLE_POISONED')
    write()
    expect((await append).code).toBe('FLASHTABLE_POISONED')
    expect((await second).code).toBe('FLASHTABLE_POISONED')
    expect(log.writer.nextSequence).toBe(1)
  })
})

/** Holds back writes, besides the calls that are held back already. Returns a function that releases the writes. */
function gateWrites(log: Log): () => void {
  const before = log.disk.onCall
  const held: (() => void)[] = []
  log.disk.onCall = call =>
    call.op === 'write' ? new Promise(resolve => void held.push(resolve)) : before?.(call)
  return () => {
    for (const resolve of held.splice(0)) resolve()
  }
}
