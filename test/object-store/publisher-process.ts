/**
 * A process to be killed or stopped: puts records into a table, publishes them, writes a line for each publish, and begins
 * again until it is fenced. `argv[2]`: a {@link PublisherTask}.
 */
import { writeSync } from 'node:fs'
import process from 'node:process'
import { setTimeout as wait } from 'node:timers/promises'
import { collectGarbage } from '../../src/index.js'
import { s3Store } from '../../src/s3.js'
import type { ObjectStore } from '../../src/store/object-store.js'
import type { PublisherLine, PublisherTask } from './publisher.js'
import { openTable, put } from './table.js'

const task = JSON.parse(process.argv[2]!) as PublisherTask
if (task.clockMs !== undefined) setClock(task.clockMs)
const table = await openTable(task.directory)
const store = stoppingAt(s3Store(task.url, task.options))

for (let round = 0; round < (task.publishes ?? Infinity);) {
  await put(table, 200)
  try {
    const { takeOver = false, retention } = task
    const { version, sequence } = await table.publish(store, { takeOver, retention })
    if (task.collects === true) await collectGarbage(store)
    tell({ version, sequence })
    round++
  } catch (error) {
    const { code = 'none', message } = error as Error & { readonly code?: string }
    tell({ code, message })
    if (code !== 'FLASHTABLE_UNAVAILABLE') break
    await wait(50)
  }
}
await table.close()

function tell(line: PublisherLine): void {
  writeSync(1, `${JSON.stringify(line)}\n`)
}

/** The clock of this process is off by that much. */
function setClock(byMs: number): void {
  const Real = Date
  class Shifted extends Real {
    constructor(...args: unknown[]) {
      if (args.length === 0) super(Real.now() + byMs)
      else super(...(args as [number]))
    }
    static override now(): number {
      return Real.now() + byMs
    }
  }
  globalThis.Date = Shifted as DateConstructor
}

/** The store; at its call number `stopAt` this process stops, as a machine that falls asleep. */
function stoppingAt(real: ObjectStore): ObjectStore {
  const { stopAt, when } = task
  let calls = 0
  const stop = (): void => void process.kill(process.pid, 'SIGSTOP')
  const around = async <T>(call: () => Promise<T>): Promise<T> => {
    if (++calls !== stopAt) return call()
    if (when === 'before') stop()
    else if (when !== 'after') setTimeout(stop, when)
    const result = await call()
    if (when === 'after') stop()
    return result
  }
  return {
    url: real.url,
    get: (...args) => around(() => real.get(...args)),
    put: (...args) => around(() => real.put(...args)),
    load: (...args) => around(() => real.load(...args)),
    swap: (...args) => around(() => real.swap(...args)),
    delete: (...args) => around(() => real.delete(...args)),
    abortUploads: (...args) => around(() => real.abortUploads(...args)),
    now: (...args) => around(() => real.now(...args)),
    async *list(...args) {
      await around(() => Promise.resolve())
      yield* real.list(...args)
    },
    below: path => real.below(path),
    close: () => real.close(),
  }
}
