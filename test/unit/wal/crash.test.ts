/**
 * The log under crashes, power cuts and failures at any call, over several lives of the table.
 *
 * Whatever happens, replay works without help and gives a prefix of the groups in their order: all that was
 * acknowledged after a crash of the process, all that was synced after a power cut. One group that was not acknowledged
 * may follow, whole.
 */
import { expect, test } from 'vitest'
import { Random } from '../../support/random.js'
import type { SimulatedFileSystem } from '../../support/simulated-file-system.js'
import { Log, newDisk, PAGE, pathOf, replay, rowsOf, segmentNumbers } from './log.js'
import type { Replayed } from './log.js'

interface Group {
  readonly firstSequence: number
  readonly endSequence: number
  readonly tag: number
}

/** What the manifest would say of the log. */
interface Base {
  readonly epoch: number
  readonly firstSegment: number
  readonly firstSequence: number
}

/** One life of the table: from an open to its end, whatever that is. */
class Life {
  readonly log: Log
  readonly #random: Random
  base: Base
  readonly acknowledged: Group[] = []
  /** Rejected, or in flight when the life ended. */
  readonly others: Group[] = []
  syncedSequence: number
  readonly #ended: number[] = []
  readonly #syncs: Promise<void>[] = []

  constructor(disk: SimulatedFileSystem, random: Random, base: Base) {
    this.#random = random
    this.base = base
    this.syncedSequence = base.firstSequence
    this.log = new Log(disk, {
      epoch: base.epoch,
      nextNumber: base.firstSegment,
      nextSequence: base.firstSequence,
      segmentBytes: 6 * PAGE,
      spares: segmentNumbers(disk),
    })
  }

  get acknowledgedEnd(): number {
    return this.acknowledged.at(-1)?.endSequence ?? this.base.firstSequence
  }

  /** Runs the steps, or fewer if a failure ends the life. */
  async run(steps: number): Promise<void> {
    const random = this.#random
    try {
      for (let step = 0; step < steps; step++) {
        const draw = random.below(10)
        if (draw < 6) await this.#append(random.pick([1, 1, 2, 30, 150, 400, 3700]))
        else if (draw < 7) await this.#sync()
        else if (draw < 8) this.#syncs.push(this.#sync().catch(() => {}))
        else if (draw < 9) await new Promise(resolve => void setImmediate(resolve))
        else await this.#retire()
      }
    } catch {
      // A crash, or a failure that has poisoned the log.
    }
    await Promise.all(this.#syncs)
  }

  async #append(count: number): Promise<void> {
    const { writer } = this.log
    const tag = 1 + this.acknowledged.length + this.others.length
    const rows = rowsOf(writer.nextSequence, count, tag)
    if (!writer.hasRoom(count, false, 0)) {
      const ended = writer.rotate()
      if (ended !== undefined) this.#ended.push(ended.number)
    }
    const firstSequence = writer.nextSequence
    const group = { firstSequence, endSequence: firstSequence + count, tag }
    this.others.push(group)
    try {
      await writer.append(rows, 0, count, [])
    } catch (error) {
      if ((error as { code?: unknown }).code === 'FLASHTABLE_DISK_FULL') return
      throw error
    }
    this.others.pop()
    this.acknowledged.push(group)
  }

  async #sync(): Promise<void> {
    const end = this.acknowledgedEnd
    await this.log.writer.sync()
    this.syncedSequence = Math.max(this.syncedSequence, end)
  }

  /** The records of the oldest ended segment go into a bucket file, an install of the manifest says so. */
  async #retire(): Promise<void> {
    const number = this.#ended.shift()
    if (number === undefined) return
    const { writer } = this.log
    const next = this.#ended[0] ?? writer.activeSegment?.number ?? this.log.nextNumber
    const after = await replay(this.log.disk, this.base)
    const segment = after.segments.find(found => found.number === number)!
    this.base = { ...this.base, firstSegment: next, firstSequence: segment.endSequence }
    this.syncedSequence = Math.max(this.syncedSequence, segment.endSequence)
    await writer.retire([number])
  }

  /** Checks the log on a disk; returns its end. */
  async check(disk: SimulatedFileSystem, atLeast: number): Promise<number> {
    const replayed = await replay(disk, this.base)
    const { endSequence } = replayed
    const groups = this.acknowledged.filter(group => group.endSequence <= endSequence)
    const prefixEnd = groups.at(-1)?.endSequence ?? this.base.firstSequence
    const end = Math.max(prefixEnd, this.base.firstSequence)
    const tail = endSequence === end ? [] : this.others.filter(other => fits(other, end, replayed))
    if (endSequence !== end) expect(tail.length, `a group [${end}, ${endSequence})`).toBeGreaterThan(0)
    expect(end).toBeGreaterThanOrEqual(atLeast)
    for (const group of groups) {
      const from = Math.max(group.firstSequence, this.base.firstSequence)
      for (let sequence = from; sequence < group.endSequence; sequence++) {
        if (replayed.tags[sequence] !== group.tag) {
          throw new Error(`row ${sequence} is of group ${replayed.tags[sequence]}, not of ${group.tag}`)
        }
      }
    }
    return endSequence
  }
}

/** Whether this group, and nothing else, was replayed from `from` on. */
function fits(group: Group, from: number, replayed: Replayed): boolean {
  return (
    group.firstSequence === from &&
    group.endSequence === replayed.endSequence &&
    replayed.tags.slice(from).every(tag => tag === group.tag)
  )
}

/** Several lives on one disk, each ended by a crash or a power cut. */
async function lives(
  seed: number,
  prepareFaults: (disk: SimulatedFileSystem, random: Random) => void,
): Promise<void> {
  const random = new Random(seed)
  let disk = await newDisk({ seed, shortTransfers: random.pick([0, 0, 0.3]) })
  let base: Base = { epoch: 1, firstSegment: 1, firstSequence: 0 }
  for (let life = 0; life < 3; life++) {
    disk.crashAt = random.chance(0.8) ? random.between(1, 60) : undefined
    prepareFaults(disk, random)
    const run = new Life(disk, random, base)
    await run.run(random.between(5, 40))
    disk.clearFaults()
    const context = `seed ${seed}, life ${life}, after ${disk.calls} calls`
    try {
      // kill -9: all that was acknowledged is there.
      const afterKill = disk.clone()
      const endAfterKill = await run.check(afterKill, run.acknowledgedEnd)
      let end = endAfterKill
      for (let cut = 0; cut < 4; cut++) {
        const afterCut = disk.crashState(seed * 1000 + life * 100 + cut)
        const endAfterCut = await run.check(afterCut, run.syncedSequence)
        if (cut === 0 && random.chance(0.5)) {
          disk = afterCut
          end = endAfterCut
        } else if (cut === 0) disk = afterKill
      }
      // Recovery puts what was replayed into a bucket file, and begins new segments.
      const numbers = segmentNumbers(disk)
      const firstSegment = 1 + Math.max(run.log.nextNumber, ...numbers)
      base = { epoch: base.epoch + 1, firstSegment, firstSequence: end }
    } catch (error) {
      throw new Error(`${context}: ${String(error)}\n${disk.history.join('\n')}`, { cause: error })
    }
    await run.log.writer.close().catch(() => {})
  }
}

test('a crash or a power cut at any call leaves a prefix with all that was acknowledged or synced', async () => {
  for (let seed = 0; seed < 30; seed++) await lives(seed, () => {})
})

test('a full disk now and then leaves a prefix too, without rejected groups among the others', async () => {
  for (let seed = 1000; seed < 1030; seed++) {
    await lives(seed, (disk, random) => {
      for (let i = 0; i < 4; i++) {
        const step = random.between(1, 50)
        disk.failAt(call => call.step >= step && call.op === 'write', 'ENOSPC', {
          effect: random.pick(['none', 'any', 'all'] as const),
        })
      }
    })
  }
})

test('a disk with little room leaves a prefix too, and goes on when segments are recycled', async () => {
  for (let seed = 2000; seed < 2030; seed++) {
    await lives(seed, (disk, random) => {
      disk.capacityBytes = disk.usedBytes + random.below(20) * PAGE
    })
  }
})

test('a failed write, sync, rename or create at any call leaves a prefix too', async () => {
  for (let seed = 3000; seed < 3030; seed++) {
    await lives(seed, (disk, random) => {
      disk.failAt(random.between(1, 50), random.pick(['EIO', 'EIO', 'ENOSPC', 'EMFILE']))
    })
  }
})

test('every write torn anywhere in any order leaves a prefix', async () => {
  const disk = await newDisk()
  const life = new Life(disk, new Random(1), { epoch: 1, firstSegment: 1, firstSequence: 0 })
  for (const count of [3, 700, 1, 1, 300]) {
    const group = life.log.writer.nextSequence
    const tag = await life.log.append(count)
    life.acknowledged.push({ firstSequence: group, endSequence: group + count, tag })
  }
  const ends = new Set<number>()
  for (const data of ['pages', 'pieces', 'prefix', 'size'] as const) {
    for (let seed = 0; seed < 100; seed++) {
      ends.add(await life.check(disk.crashState(seed, { data, entries: 'all' }), 0))
    }
  }
  // Every boundary between groups was an end.
  expect([...ends].sort((a, b) => a - b)).toEqual([0, 3, 703, 704, 705, 1005])
  expect(disk.files()).toEqual([pathOf(1)])
})
