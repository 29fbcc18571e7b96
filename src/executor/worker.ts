/** The worker thread: runs the jobs that `worker-executor.ts` sends, one at a time, on the memory of the memtables themselves. */
import { performance } from 'node:perf_hooks'
import { parentPort } from 'node:worker_threads'
import { newAbortController } from '../async/abort.js'
import { nextTurn } from '../async/turns.js'
import { buildRange } from '../bulk-load/build-file.js'
import { spillMemtable } from '../bulk-load/spill-memtable.js'
import { runCompaction } from '../compaction/run.js'
import { nodeFileSystem } from '../io/node-file-system.js'
import { jobFileSystem } from '../jobs/guarded-executor.js'
import { beginKernels, endKernels, kernels } from '../kernels/kernels.js'
import { failureOf, type FromWorker, type Outcome, type Task, type ToWorker } from './worker-protocol.js'

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
  /** Not reported yet. */
  let writtenBytes = 0
  const tellWritten = (): void => {
    if (writtenBytes > 0) post({ kind: 'written', bytes: writtenBytes })
    writtenBytes = 0
  }
  const onProgress = (operations: number): void => {
    const nowMs = performance.now()
    if (nowMs - reportedMs < PROGRESS_INTERVAL_MS) return
    reportedMs = nowMs
    tellWritten()
    post({ kind: 'progress', operations })
  }
  const onWritten = (bytes: number): void => void (writtenBytes += bytes)
  const fileSystem = jobFileSystem(nodeFileSystem, task.job)
  const control = { signal, onProgress, onWritten }
  let result: Outcome<Task>
  let transfer: ArrayBuffer[] = []
  beginKernels()
  try {
    switch (task.kind) {
      case 'run':
        result = await runCompaction(fileSystem, task.job, control, nextTurn)
        break
      case 'spill':
        result = await spillMemtable(fileSystem, task.job, control, nextTurn)
        break
      case 'build': {
        const built = await buildRange(fileSystem, task.job, { signal }, nextTurn)
        const { chunks, fences, filter } = built
        // Handed over, not copied.
        transfer = [...chunks, fences, filter].map(({ buffer }) => buffer)
        result = built
        break
      }
    }
    tellWritten()
    const kernelPages = kernels()?.pages ?? 0
    // The next job may come at once.
    endKernels()
    post({ kind: 'done', result, kernelPages }, transfer)
  } catch (error) {
    endKernels()
    tellWritten()
    post({ kind: 'failed', failure: failureOf(error) })
  }
}

function post(message: FromWorker, transfer: readonly ArrayBuffer[] = []): void {
  port.postMessage(message, transfer)
}
