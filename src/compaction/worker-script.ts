/** Where the script of the worker threads is: built JavaScript, or beside the sources a script that can load them. */
import { URL } from 'node:url'

export function workerScript(): URL {
  return import.meta.url.endsWith('.ts')
    ? new URL('./worker-development.mjs', import.meta.url)
    : new URL('./worker.js', import.meta.url)
}
