/** An open file of the simulated disk. */
import type { FileHandle, Stamp } from '../../src/io/file-system.js'
import type { Random } from './random.js'
import type { SimulatedFile } from './simulated-file.js'
import type { Action, CallName, CallRequest, SimulatedSteps } from './simulated-steps.js'
import { systemError } from './system-error.js'

/** What a handle asks of its file system. */
export interface HandleHost {
  readonly steps: SimulatedSteps
  readonly random: Random
  freePages(): number
  /** How many of these bytes a read or a write transfers. */
  transfer(bytes: number): number
  noteWritten(bytes: number): void
  noteClosed(handle: SimulatedHandle): void
}

export class SimulatedHandle implements FileHandle {
  readonly path: string
  readonly file: SimulatedFile
  readonly #host: HandleHost
  readonly #writable: boolean
  #closed = false
  #inFlight = 0

  constructor(host: HandleHost, path: string, file: SimulatedFile, writable: boolean) {
    this.#host = host
    this.path = path
    this.file = file
    this.#writable = writable
  }

  read(buffer: Uint8Array, position: number): Promise<number> {
    return this.#later('read', () => this.#read(buffer, position), position, buffer.byteLength)
  }

  readSync(buffer: Uint8Array, position: number): number {
    return this.#now('read', () => this.#read(buffer, position), position, buffer.byteLength)
  }

  write(buffer: Uint8Array, position: number): Promise<number> {
    return this.#later('write', () => this.#write(buffer, position), position, buffer.byteLength)
  }

  writeSync(buffer: Uint8Array, position: number): number {
    return this.#now('write', () => this.#write(buffer, position), position, buffer.byteLength)
  }

  sync(): Promise<void> {
    return this.#later('sync', () => this.#sync())
  }

  size(): Promise<number> {
    return this.#later('size', () => ({ run: () => this.file.size }))
  }

  async stamp(): Promise<Stamp> {
    this.#requireOpen('fstat')
    return this.#host.steps.look(this.path, () => fileStamp(this.file))
  }

  async close(): Promise<void> {
    if (this.#closed) throw systemError('EBADF', 'close', this.path)
    // On a real system the descriptor's number could be another file's by the time those calls are done.
    if (this.#inFlight > 0) {
      const misuse = new Error(`simulation: ${this.path} is closed with calls on it in flight`)
      if (!this.#host.steps.crashed) this.#host.steps.misuse = misuse
      throw misuse
    }
    this.#closed = true
    const close = (): void => this.#host.noteClosed(this)
    return this.#host.steps.later({ op: 'close', path: this.path }, () => ({
      run: close,
      partly: close,
      fail: close,
    }))
  }

  #read(buffer: Uint8Array, position: number): Action<number> {
    return {
      run: () => this.file.read(buffer.subarray(0, this.#host.transfer(buffer.byteLength)), position),
      partly: () => {},
    }
  }

  /** The bytes are taken from the buffer when the call is done, not when it is made: so may the kernel. */
  #write(buffer: Uint8Array, position: number): Action<number> {
    if (!this.#writable) throw systemError('EBADF', 'write', this.path)
    const write = (bytes: number): number => {
      const count = this.file.writable(bytes, position, this.#host.freePages())
      if (count === 0 && bytes > 0) throw systemError('ENOSPC', 'write', this.path)
      this.file.write(buffer.subarray(0, count), position)
      this.#host.noteWritten(count)
      return count
    }
    return {
      run: () => write(this.#host.transfer(buffer.byteLength)),
      partly: () => void write(this.#host.random.between(0, buffer.byteLength)),
    }
  }

  /** It covers what was written before it began, and not before it has ended. */
  #sync(): Action<void> {
    const sync = this.file.beginSync()
    return {
      run: () => this.file.endSync(sync),
      partly: () => {},
      fail: () => this.file.failSync(sync, this.#host.random),
    }
  }

  async #later<T>(op: CallName, make: () => Action<T>, position?: number, bytes?: number): Promise<T> {
    this.#requireOpen(op)
    this.#inFlight++
    try {
      return await this.#host.steps.later(this.#request(op, position, bytes), make)
    } finally {
      this.#inFlight--
    }
  }

  #now<T>(op: CallName, make: () => Action<T>, position: number, bytes: number): T {
    this.#requireOpen(op)
    return this.#host.steps.now(this.#request(op, position, bytes), make)
  }

  #request(op: CallName, position?: number, bytes?: number): CallRequest {
    if (position === undefined || bytes === undefined) return { op, path: this.path }
    return { op, path: this.path, position, bytes }
  }

  #requireOpen(syscall: string): void {
    if (this.#closed) throw systemError('EBADF', syscall, this.path)
  }
}

export function fileStamp({ id, size, changes }: SimulatedFile): Stamp {
  return { identity: `file ${id}`, bytes: size, changed: String(changes) }
}
