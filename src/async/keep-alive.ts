/**
 * Keeps the process alive while a call waits for what no handle of the event loop stands for: for the next try of a
 * seal on a full disk, say. Node ends a process in which only promises are pending, without a word.
 *
 * docs/internals.md, Waiting.
 */
import { clearInterval, setInterval } from 'node:timers'

/** The timer does nothing; it is there. */
const INTERVAL_MS = 2 ** 30

let waiting = 0
let timer: NodeJS.Timeout | undefined

/** What the promise settles to. Until then the process lives. */
export async function keepAlive<T>(promise: Promise<T>): Promise<T> {
  if (waiting++ === 0) timer = setInterval(() => {}, INTERVAL_MS)
  try {
    return await promise
  } finally {
    if (--waiting === 0) clearInterval(timer)
  }
}
