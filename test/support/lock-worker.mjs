/** A thread that takes a lock: for test/unit/io/lock.test.ts. Threads need a loader for TypeScript of their own. */
import { parentPort, workerData } from 'node:worker_threads'
import { register } from 'tsx/esm/api'

register()
const { acquireLock } = await import('../../src/io/lock.ts')
const result = await acquireLock(workerData, { timeoutMs: 0 }).then(
  () => 'taken',
  error => error.code,
)
// Until it is terminated.
parentPort.on('message', () => {})
// oxlint-disable-next-line unicorn/require-post-message-target-origin -- that is for windows
parentPort.postMessage(result)
