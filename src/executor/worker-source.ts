/**
 * The script of the worker threads, as text: a thread needs no file, so it also starts from a bundle, a single
 * executable or a package that is still packed.
 *
 * This file is used where the sources run as they are (tsx, vitest). `npm run build` puts the bundled worker in its
 * place (tools/build/build.mjs).
 */
import { URL } from 'node:url'

/** CommonJS. */
export const WORKER_SOURCE = `import(${JSON.stringify(new URL('./worker-development.mjs', import.meta.url).href)})`
