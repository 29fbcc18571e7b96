/** Starts worker threads, and says where there can be none. */
import process from 'node:process'
import { Worker } from 'node:worker_threads'
import { messageOf } from '../base/errors.js'
import { WORKER_SOURCE } from './worker-source.js'

/** There is no thread for a job, and none has begun it. */
export class NoThread extends Error {
  constructor(cause: unknown) {
    super(`no worker thread could be started: ${messageOf(cause)}`, { cause })
  }
}

export function startThread(): Worker {
  // Flags of the program are not for this thread, nor those of NODE_OPTIONS: with --input-type or a preloaded module it
  // might not even start.
  return new Worker(WORKER_SOURCE, { eval: true, execArgv: [], env: {} })
}

/** What keeps threads from being started here, as far as that can be known without a try. */
export function whyNoThreads(): string | undefined {
  // Types of Node 20 know no permissions.
  const { permission } = process as { permission?: { has(scope: string): boolean } }
  if (permission === undefined || permission.has('worker')) return undefined
  return "Node's permission model forbids worker threads: allow them with --allow-worker"
}

let warned = false

/** Tells once in a process that jobs run on the calling thread, and why. */
export function warnOfNoThreads(reason: string): void {
  if (warned) return
  warned = true
  process.emitWarning(`flashtable seals and merges on the calling thread: ${reason}`, {
    type: 'FlashTableWarning',
    code: 'FLASHTABLE_NO_THREADS',
  })
}
