/** The worker thread: runs the jobs that `worker-executor.ts` sends, one at a time, on the memory of the memtables themselves. */
import { performance } from 'node:perf_hooks'
import { parentPort } from 'node:worker_threads'
import { newAbortController } from '../abort.js'
import { nodeFileSystem } from '../io/node-file-system.js'
import { nextTurn } from '../turns.js'
import { jobFileSystem } from './guarded-executor.js'
import { buildRange } from './build-in-ranges.js'
import { runCompaction } from './run.js'
import { spillMemtable } from './spill-memtable.js'
import { failureOf, type FromWorker, type Task, type ToWorker } from './worker-protocol.js'

/** Time between two reports of progress. */
const PROGRESS_INTERVAL_MS = 50

const port = parentPort!
let abort = newAbortController()

port.on('message', (message: ToWorker) => {
  switch (message.kind) {
    case 'abort':
      abort.abort()
      break
    case 'run':
    case 'spill':
    case 'build':
      abort = newAbortController()
      void perform(message, abort.signal)
      break
  }
})

post({ kind: 'begun' })

/** Never rejects: the outcome is posted. */
async function perform(task: Task, signal: AbortSignal): Promise<void> {
  let reportedMs = performance.now()
  const onProgress = (operations: number): void => {
    const nowMs = performance.now()
    if (nowMs - reportedMs < PROGRESS_INTERVAL_MS) return
    reportedMs = nowMs
    post({ kind: 'progress', operations })
  }
  const fileSystem = jobFileSystem(nodeFileSystem, task.job)
  try {
    switch (task.kind) {
      case 'run':
        post({
          kind: 'done',
          result: await runCompaction(fileSystem, task.job, { signal, onProgress }, nextTurn),
        })
        break
      case 'spill':
        post({ kind: 'done', result: await spillMemtable(fileSystem, task.job, { signal }, nextTurn) })
        break
      case 'build': {
        const result = await buildRange(fileSystem, task.job, { signal }, nextTurn)
        // Handed over, not copied.
        const { chunks, fences, filter } = result
        post(
          { kind: 'done', result },
          [...chunks, fences, filter].map(({ buffer }) => buffer),
        )
        break
      }
    }
  } catch (error) {
    post({ kind: 'failed', failure: failureOf(error) })
  }
}

function post(message: FromWorker, transfer: readonly ArrayBuffer[] = []): void {
  port.postMessage(message, transfer)
}
