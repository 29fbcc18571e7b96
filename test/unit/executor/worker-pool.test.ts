import { EventEmitter } from 'node:events'
import type { Worker } from 'node:worker_threads'
import { describe, expect, test } from 'vitest'
import { WorkerPool, type JobKind } from '../../../src/executor/worker-pool.js'
import type { Task, ToWorker } from '../../../src/executor/worker-protocol.js'
import type { CompactionJob } from '../../../src/jobs/job.js'

/** A thread that does what the test tells it. */
class FakeWorker extends EventEmitter {
  job: string | undefined
  aborted = false
  held = false
  ended = false

  postMessage(message: ToWorker): void {
    if (message.kind === 'abort') this.aborted = true
    else {
      expect(this.job).toBeUndefined()
      this.job = (message as { name?: string }).name
    }
  }
  ref(): void {
    this.held = true
  }
  unref(): void {
    this.held = false
  }
  finish(): void {
    const result = this.job
    this.job = undefined
    this.emit('message', { kind: 'done', result })
  }
  die(): void {
    this.ended = true
    this.emit('exit', 3)
  }
  async terminate(): Promise<number> {
    if (!this.ended) this.die()
    return 3
  }
}

function newPool({ processors = 4, idleMs = 1e6, fails = (): boolean => false } = {}) {
  const workers: FakeWorker[] = []
  const pool = new WorkerPool({
    processors,
    idleMs,
    startWorker: () => {
      if (fails()) throw new Error('EAGAIN')
      const worker = new FakeWorker()
      workers.push(worker)
      return worker as unknown as Worker
    },
  })
  const table = () => {
    const owner = pool.join()
    return {
      run: (name: string, kind: JobKind = 'short', signal?: AbortSignal): Promise<unknown> =>
        pool.perform(
          owner,
          kind,
          { kind: 'run', name } as unknown as Task & { job: CompactionJob },
          { signal },
          [],
        ),
      leave: () => pool.leave(owner),
    }
  }
  const alive = () => workers.filter(worker => !worker.ended)
  const running = () => alive().flatMap(({ job }) => job ?? [])
  /** Ends the job and waits until its caller knows. */
  const finish = async (name: string) => {
    workers.find(({ job }) => job === name)!.finish()
    await new Promise(resolve => void setImmediate(resolve))
  }
  return { pool, table, workers, alive, running, finish }
}

describe('the threads of a process', () => {
  test('are no more than four, however many tables have jobs', async () => {
    const { table, alive, running, finish } = newPool({ processors: 16 })
    const outcomes = Array.from({ length: 60 }, (_, i) => table().run(`seal ${i}`))
    expect(alive().length).toBe(4)
    for (let i = 0; i < 60; i++) {
      expect(running().length).toBe(Math.min(4, 60 - i))
      await finish(`seal ${i}`)
    }
    expect(await Promise.all(outcomes)).toEqual(Array.from({ length: 60 }, (_, i) => `seal ${i}`))
    expect(alive().length).toBe(4)
  })

  test.each([1, 2, 4])(
    'of %i processors leave two for seals and flushes while merges run and wait',
    async processors => {
      const { table, running, finish } = newPool({ processors })
      const outcomes = Array.from({ length: 9 }, (_, i) => table().run(`merge ${i}`, 'long'))
      const merges = Math.max(1, processors - 2)
      expect(running().length).toBe(merges)
      outcomes.push(table().run('seal'), table().run('flush'))
      expect(running()).toEqual(expect.arrayContaining(['seal', 'flush']))
      await finish('seal')
      await finish('flush')
      expect(running().length).toBe(merges)
      for (let i = 0; i < 9; i++) await finish(`merge ${i}`)
      await Promise.all(outcomes)
    },
  )

  test.each([1, 2, 4])(
    'of %i processors run one merge at least, however many seals come',
    async processors => {
      const { table, running, finish } = newPool({ processors })
      const [sealing, merging] = [table(), table()]
      const outcomes = Array.from({ length: 40 }, (_, i) => sealing.run(`seal ${i}`))
      outcomes.push(merging.run('merge 0', 'long'), merging.run('merge 1', 'long'))
      await finish('seal 0')
      expect(running()).toContain('merge 0')
      await finish('seal 1')
      // The seals have their threads back.
      expect(running()).not.toContain('merge 1')
      expect(running().length).toBe(Math.max(3, processors))
      await finish('merge 0')
      expect(running()).toContain('merge 1')
      await finish('merge 1')
      for (let i = 2; i < 40; i++) await finish(`seal ${i}`)
      await Promise.all(outcomes)
    },
  )

  test('are given to tables in turn: one with many jobs does not keep another waiting', async () => {
    const { table, running, finish } = newPool({ processors: 2 })
    const [busy, other] = [table(), table()]
    const outcomes = Array.from({ length: 6 }, (_, i) => busy.run(`busy ${i}`))
    outcomes.push(other.run('other'))
    expect(running()).toEqual(['busy 0', 'busy 1', 'busy 2'])
    await finish('busy 0')
    expect(running()).toContain('other')
    for (const name of ['busy 1', 'other', 'busy 2', 'busy 3', 'busy 4', 'busy 5']) await finish(name)
    await Promise.all(outcomes)
  })

  test('end when the last table leaves, not before', async () => {
    const { table, alive, finish } = newPool()
    const [first, second] = [table(), table()]
    const outcome = first.run('seal')
    await finish('seal')
    await outcome
    await first.leave()
    expect(alive().length).toBe(1)
    await second.leave()
    expect(alive()).toEqual([])
  })

  test('keep the process alive only while they run a job', async () => {
    const { table, workers, finish } = newPool()
    const outcome = table().run('seal')
    expect(workers[0]!.held).toBe(true)
    await finish('seal')
    await outcome
    expect(workers[0]!.held).toBe(false)
  })

  test('that die fail the job that they run and no other, and others take their place', async () => {
    const { table, workers, running, finish } = newPool({ processors: 2 })
    const tables = [table(), table(), table()]
    const outcomes = tables.map(({ run }, i) => run(`seal ${i}`).catch(String))
    workers[0]!.die()
    expect(running()).toEqual(['seal 1', 'seal 2'])
    await finish('seal 1')
    await finish('seal 2')
    expect(await Promise.all(outcomes)).toEqual([expect.stringMatching(/exit code 3/), 'seal 1', 'seal 2'])
  })

  test('that cannot be started are done without while others run; a job that has none hears of it', async () => {
    let fails = false
    const { table, running, finish } = newPool({ fails: () => fails })
    const one = table()
    const first = one.run('first')
    fails = true
    const second = one.run('second')
    expect(running()).toEqual(['first'])
    await finish('first')
    expect(running()).toEqual(['second'])
    await finish('second')
    expect(await Promise.all([first, second])).toEqual(['first', 'second'])
    await one.leave()
    const alone = newPool({ fails: () => true }).table()
    await expect(alone.run('third')).rejects.toThrow('EAGAIN')
  })

  test('are told of an abort of the job that they run; one that waits ends at once', async () => {
    const { table, workers, finish } = newPool({ processors: 2 })
    const one = table()
    const merging = new AbortController()
    const running = one.run('merge 0', 'long', merging.signal)
    const waiting = new AbortController()
    const waits = one.run('merge 1', 'long', waiting.signal)
    waiting.abort(new Error('not any more'))
    await expect(waits).rejects.toThrow('not any more')
    expect(workers[0]!.aborted).toBe(false)
    merging.abort()
    expect(workers[0]!.aborted).toBe(true)
    await finish('merge 0')
    await running
    await expect(one.run('merge 2', 'long', waiting.signal)).rejects.toThrow('not any more')
  })

  test('end when nobody has needed them for a while', async () => {
    const { table, workers, finish } = newPool({ idleMs: 0 })
    const outcome = table().run('seal')
    const ended = new Promise(resolve => workers[0]!.once('exit', resolve))
    await finish('seal')
    await outcome
    // Its timer keeps no process alive, so something else must here.
    const keepAlive = setInterval(() => {}, 1000)
    await ended
    clearInterval(keepAlive)
  })
})
