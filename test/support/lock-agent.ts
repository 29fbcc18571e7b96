/**
 * A process that takes and gives up locks as it is told, for test/unit/io/lock-processes.test.ts:
 * `{ take: directory, timeoutMs }` is answered by `{ taken }` or `{ code, message }`, `{ release: true }` by `{ released }`.
 * With the argument `without-fs-ext` it works as where that could not be built, but for flock(1);
 * with `without-flock` without that too.
 */
import { flockTool, loadFlock } from '../../src/io/flock.js'
import { lockOf, realLockParts, type TableLock } from '../../src/io/lock.js'

export type ToAgent = { readonly take: string; readonly timeoutMs: number } | { readonly release: true }

export type FromAgent =
  | { readonly ready: true }
  | { readonly taken: true }
  | { readonly released: true }
  | { readonly code: string; readonly message: string }

const withFsExt = !process.argv.includes('without-fs-ext')
const withFlock = !process.argv.includes('without-flock')
const acquire = lockOf({
  ...realLockParts(),
  flock: withFlock ? ((withFsExt ? loadFlock() : undefined) ?? flockTool) : undefined,
})
let lock: TableLock | undefined

const answer = (message: FromAgent): void => void process.send?.(message)

async function handle(message: ToAgent): Promise<void> {
  if ('release' in message) {
    await lock?.release()
    answer({ released: true })
    return
  }
  try {
    lock = await acquire(message.take, { timeoutMs: message.timeoutMs })
    answer({ taken: true })
  } catch (error) {
    const { code, message } = error as Error & { code: string }
    answer({ code, message })
  }
}

process.on('message', message => void handle(message as ToAgent))
answer({ ready: true })
