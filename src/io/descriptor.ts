/**
 * Descriptors of open files, and calls on them as promises.
 *
 * Node's permission model forbids `fsync` on a raw descriptor, which might be anybody's. It allows it on a handle that
 * Node has opened. docs/decisions/permission-model.md.
 */
import * as fs from 'node:fs'
import process from 'node:process'
import { isError } from '../base/errors.js'

export interface Descriptor {
  readonly number: number
  /** Data and size are on the device when it resolves. */
  syncData(): Promise<void>
  sync(): Promise<void>
  setMode(mode: number): Promise<void>
  close(): Promise<void>
}

type Callback<T> = (error: NodeJS.ErrnoException | null, result: T) => void

/** Whether Node's permission model is on. */
const IS_RESTRICTED = (process as { readonly permission?: unknown }).permission !== undefined

// On macOS neither fsync(2) nor fdatasync empties the drive's cache; Node's fsync issues F_FULLFSYNC there.
const HAS_DATA_SYNC = process.platform !== 'darwin'

export function openDescriptor(path: string, flags: number, mode?: number): Promise<Descriptor> {
  return IS_RESTRICTED ? openHandle(path, flags, mode) : openNumber(path, flags, mode)
}

async function openNumber(path: string, flags: number, mode?: number): Promise<Descriptor> {
  const number = await promised<number>(path, done => fs.open(path, flags, mode, done))
  const call = async (start: (number: number, done: fs.NoParamCallback) => void): Promise<void> => {
    await promised<unknown>(path, done => start(number, done as fs.NoParamCallback))
  }
  return {
    number,
    syncData: () => call(HAS_DATA_SYNC ? fs.fdatasync : fs.fsync),
    sync: () => call(fs.fsync),
    setMode: mode => call((number, done) => fs.fchmod(number, mode, done)),
    close: () => call(fs.close),
  }
}

async function openHandle(path: string, flags: number, mode?: number): Promise<Descriptor> {
  const handle = await withPathOf(path, fs.promises.open(path, flags, mode))
  return {
    number: handle.fd,
    syncData: () => withPathOf(path, HAS_DATA_SYNC ? handle.datasync() : handle.sync()),
    sync: () => withPathOf(path, handle.sync()),
    setMode: mode => withPathOf(path, handle.chmod(mode)),
    close: () => withPathOf(path, handle.close()),
  }
}

/** A callback call as a promise. Node's errors of calls on descriptors have no path: they get `path`. */
export function promised<T>(path: string, start: (callback: Callback<T>) => void): Promise<T> {
  return new Promise((fulfil, reject) => {
    start((error, result) => {
      if (error === null || error === undefined) fulfil(result)
      else reject(withPath(error, path) as Error)
    })
  })
}

async function withPathOf<T>(path: string, call: Promise<T>): Promise<T> {
  try {
    return await call
  } catch (error) {
    throw withPath(error, path)
  }
}

export function withPath(error: unknown, path: string): unknown {
  if (isError(error) && !('path' in error)) Object.assign(error, { path })
  return error
}
