/** Starts worker threads, and says why there can be none. */
import process from 'node:process'
import { Worker } from 'node:worker_threads'
import { messageOf } from '../base/errors.js'
import { WORKER_SOURCE } from './worker-source.js'

/** No thread could be started for a job, so none has begun it. */
export class NoThread extends Error {
  constructor(cause: unknown) {
    super(`no worker thread could be started: ${messageOf(cause)}`, { cause })
  }
}

export function startThread(): Worker {
  // The thread does not get the program's flags or its NODE_OPTIONS: with --input-type or a preloaded module it might
  // not even start.
  return new Worker(WORKER_SOURCE, { eval: true, execArgv: [], env: {} })
}

/** Why threads cannot be started here, as far as that is known without trying. */
export function whyNoThreads(): string | undefined {
  // The types of Node 20 do not know permissions.
  const { permission } = process as { permission?: { has(scope: string): boolean } }
  if (permission === undefined || permission.has('worker')) return undefined
  return "Node's permission model forbids worker threads: allow them with --allow-worker"
}

let warned = false

/** Warns, once in a process, that jobs run on the calling thread, and why. */
export function warnOfNoThreads(reason: string): void {
  if (warned) return
  warned = true
  process.emitWarning(`flashtable seals and merges on the calling thread: ${reason}`, {
    type: 'FlashTableWarning',
    code: 'FLASHTABLE_NO_THREADS',
  })
}
