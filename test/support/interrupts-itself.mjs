/**
 * Loaded into a command before it begins: the process sends itself the signal `INTERRUPT_WITH` as soon as it has made a
 * file whose path begins with `INTERRUPT_AT`.
 *
 * It looks in each turn of its own event loop, so however slow the machine is, the command cannot be further than that.
 */
import { readdirSync } from 'node:fs'
import { basename, dirname } from 'node:path'
import process from 'node:process'
import { isMainThread } from 'node:worker_threads'

const { INTERRUPT_AT: path, INTERRUPT_WITH: signal } = process.env

function isThere() {
  try {
    return readdirSync(dirname(path)).some(name => name.startsWith(basename(path)))
  } catch {
    // The directory is not there yet.
    return false
  }
}

if (isMainThread) {
  let isDone = false
  const look = () => {
    if (isDone || !isThere()) return
    isDone = true
    clearInterval(timer)
    process.kill(process.pid, signal)
  }
  const lookInEachTurn = () => {
    look()
    if (!isDone) setImmediate(lookInEachTurn).unref()
  }
  // Between turns the loop sleeps while threads work.
  const timer = setInterval(look, 1).unref()
  lookInEachTurn()
}
