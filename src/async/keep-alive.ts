/**
 * Keeps the process alive while a call waits for something that has no handle in the event loop: the next try of a seal
 * on a full disk, for instance. Node silently ends a process in which only promises are pending.
 *
 * docs/internals.md, Waiting.
 */
import { clearInterval, setInterval } from 'node:timers'

/** The timer does nothing but exist. */
const INTERVAL_MS = 2 ** 30

let waiting = 0
let timer: NodeJS.Timeout | undefined

/** Settles as the promise does. Until then the process lives. */
export async function keepAlive<T>(promise: Promise<T>): Promise<T> {
  if (waiting++ === 0) timer = setInterval(() => {}, INTERVAL_MS)
  try {
    return await promise
  } finally {
    if (--waiting === 0) clearInterval(timer)
  }
}
