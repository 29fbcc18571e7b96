/** The writer of the event log, on a simulated disk and a clock that the test moves. */
import { Buffer } from 'node:buffer'
import { describe, expect, test } from 'vitest'
import { EVENT_LOG_BYTES_MAX, EventLog } from '../../../src/event-log/event-log.js'
import { MARK_MS } from '../../../src/event-log/wear.js'
import { EventLogReader } from '../../../src/event-log/reader.js'
import { SimulatedFileSystem } from '../../support/simulated-file-system.js'

const DIRECTORY = '/table'
const LOG = `${DIRECTORY}/LOG.jsonl`
const OLD = `${DIRECTORY}/LOG.old.jsonl`

/** A clock that goes on when the test says so; waits end when it has. */
class Clock {
  ms = Date.UTC(2026, 0, 1)
  #waits: { untilMs: number; resolve: () => void }[] = []

  readonly wait = (ms: number, signal: AbortSignal): Promise<void> =>
    new Promise(resolve => {
      this.#waits.push({ untilMs: this.ms + ms, resolve })
      signal.addEventListener('abort', () => resolve())
    })

  get waiting(): number {
    return this.#waits.length
  }

  async pass(ms: number): Promise<void> {
    this.ms += ms
    const due = this.#waits.filter(({ untilMs }) => untilMs <= this.ms)
    this.#waits = this.#waits.filter(({ untilMs }) => untilMs > this.ms)
    for (const { resolve } of due) resolve()
    for (let turn = 0; turn < 30; turn++) await new Promise(resolve => void setImmediate(resolve))
  }
}

function newLog(disk = newDisk(), isWritten = true) {
  const clock = new Clock()
  const written = { wal: 0, buckets: 0, manifest: 0, events: 0 }
  const log = new EventLog({
    latency: () => undefined,
    fileSystem: disk,
    directory: DIRECTORY,
    isWritten,
    date: () => clock.ms,
    wait: clock.wait,
    totals: () => ({ files: 1, put: { records: 0, bytes: 0 }, written: { ...written } }),
  })
  return { disk, clock, written, log }
}

function newDisk(): SimulatedFileSystem {
  const disk = new SimulatedFileSystem()
  disk.writeFile(`${DIRECTORY}/MANIFEST`, new Uint8Array(1))
  return disk
}

const text = (disk: SimulatedFileSystem, path = LOG): string => Buffer.from(disk.readFile(path)).toString()

async function eventsOn(disk: SimulatedFileSystem): Promise<string[]> {
  const reader = new EventLogReader(disk, DIRECTORY)
  const events = await reader.readNew()
  await reader.close()
  return events.map(({ event, reason, times }) =>
    [event, reason, times].filter(part => part !== undefined).join(' '),
  )
}

const writes = (disk: SimulatedFileSystem): number => disk.log.filter(({ op }) => op === 'write').length

describe('the event log', () => {
  test('gathers lines for a second, and appends them by one write, without a sync', async () => {
    const { disk, clock, log } = newLog()
    log.note({ event: 'open' })
    await clock.pass(500)
    log.note({ event: 'flush', reason: 'full', bytes: 10 })
    expect(writes(disk)).toBe(0)
    await clock.pass(500)
    expect(writes(disk)).toBe(1)
    expect(await eventsOn(disk)).toEqual(['open', 'flush full'])
    await clock.pass(100_000)
    log.note({ event: 'merge' })
    await clock.pass(1000)
    expect(writes(disk)).toBe(2)
    expect(await eventsOn(disk)).toEqual(['open', 'flush full', 'merge'])
    expect(disk.log.filter(({ op }) => op.startsWith('sync'))).toEqual([])
    expect(disk.openHandles).toBe(0)
  })

  test('writes what waits when it is closed, and the last event', async () => {
    const { disk, log } = newLog()
    log.note({ event: 'open' })
    await log.close({ event: 'close' })
    await log.close({ event: 'close' })
    log.note({ event: 'merge' })
    expect(await eventsOn(disk)).toEqual(['open', 'close'])
    expect(writes(disk)).toBe(1)
  })

  test('tells of many events of a kind in one line', async () => {
    const { disk, log } = newLog()
    for (let i = 0; i < 1000; i++) log.note({ event: 'seal', records: 1 })
    log.note({ event: 'flush' })
    log.note({ event: 'seal', records: 1 })
    await log.close()
    expect(await eventsOn(disk)).toEqual([...Array<string>(15).fill('seal'), 'flush', 'seal 986'])
  })

  test('puts a full file aside, and has no more than two', async () => {
    const disk = newDisk()
    for (let life = 1; life <= 3; life++) {
      const { log } = newLog(disk)
      if (life > 1) {
        const size = disk.readFile(LOG).byteLength
        disk.writeFile(
          LOG,
          Buffer.concat([disk.readFile(LOG), Buffer.alloc(EVENT_LOG_BYTES_MAX - size, '\n')]),
        )
      }
      log.note({ event: 'open', reason: `life ${life}` })
      await log.close()
    }
    expect(text(disk, OLD)).toContain('life 2')
    expect(text(disk)).toContain('life 3')
    expect(disk.files()).toEqual([LOG, OLD, `${DIRECTORY}/MANIFEST`])
    expect(await eventsOn(disk)).toEqual(['open life 2', 'open life 3'])
  })

  test('begins a line of its own behind a torn one, and behind anything', async () => {
    for (const before of ['{"time":"2026-01', 'not ours', '']) {
      const { disk, log } = newLog()
      disk.writeFile(LOG, Buffer.from(before))
      log.note({ event: 'open' })
      await log.close()
      expect(await eventsOn(disk)).toEqual(['open'])
    }
  })

  test.each(['ENOSPC', 'EIO', 'EMFILE', 'EACCES'])(
    'is given up after %s, and nobody hears of it',
    async code => {
      for (const op of ['update', 'create', 'size', 'read', 'write', 'close'] as const) {
        const { disk, clock, log } = newLog()
        if (op !== 'create') disk.writeFile(LOG, Buffer.from('torn'))
        disk.failAt(call => call.op === op, code)
        log.note({ event: 'open' })
        await clock.pass(1000)
        const calls = disk.calls
        log.note({ event: 'merge' })
        await clock.pass(1000)
        await log.close({ event: 'close' })
        expect(disk.calls).toBe(calls)
        expect(disk.openHandles).toBe(0)
      }
    },
  )

  test('is given up where the name is a directory', async () => {
    const { disk, log } = newLog()
    await disk.makeDirectory(LOG)
    log.note({ event: 'open' })
    await log.close({ event: 'close' })
    expect(await eventsOn(disk)).toEqual([])
  })

  test('does nothing that is not asked for', async () => {
    const { disk, clock, log } = newLog(newDisk(), false)
    log.note({ event: 'open' })
    await clock.pass(1000)
    await log.close({ event: 'close' })
    expect(disk.calls).toBe(0)
  })
})

describe('a mark', () => {
  test('comes ten minutes after a write that no other line told of', async () => {
    const { disk, clock, written, log } = newLog()
    log.note({ event: 'open' })
    await clock.pass(1000)
    written.wal += 100
    log.noteWritten()
    await clock.pass(MARK_MS - 1)
    expect(await eventsOn(disk)).toEqual(['open'])
    await clock.pass(1)
    await clock.pass(1000)
    expect(await eventsOn(disk)).toEqual(['open', 'mark'])
    // Nothing is written any more: no timer is left.
    expect(clock.waiting).toBe(0)
  })

  test('comes at most once in that time, however much is written', async () => {
    const { disk, clock, written, log } = newLog()
    for (let minute = 0; minute < 35; minute++) {
      written.wal += 100
      log.noteWritten()
      await clock.pass(60_000)
    }
    expect(await eventsOn(disk)).toEqual(['mark', 'mark', 'mark'])
  })

  test('does not come where another line has told of it', async () => {
    const { disk, clock, written, log } = newLog()
    written.wal += 100
    log.noteWritten()
    await clock.pass(1000)
    log.note({ event: 'flush' })
    await clock.pass(2 * MARK_MS)
    expect(await eventsOn(disk)).toEqual(['flush'])
    expect(clock.waiting).toBe(0)
  })
})
