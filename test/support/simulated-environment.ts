/** The environment of a table on a simulated disk: no lock, inline compaction, random bytes and waits without a clock. */
import { createHash } from 'node:crypto'
import { inlineExecutor } from '../../src/compaction/inline-executor.js'
import type { Environment } from '../../src/environment.js'
import type { SimulatedFileSystem } from './simulated-file-system.js'

export function simulatedEnvironment(fileSystem: SimulatedFileSystem): Environment {
  return {
    fileSystem,
    acquireLock: () => Promise.resolve({ release: () => Promise.resolve() }),
    newExecutor: () => inlineExecutor(fileSystem),
    randomBytes: count => bytesOf(fileSystem, count),
    wait: () => new Promise(resolve => void setImmediate(resolve)),
  }
}

/** The same in each run, and others for each table: whoever makes one has found other files, or has made more calls. */
function bytesOf(disk: SimulatedFileSystem, count: number): Uint8Array {
  const now = JSON.stringify([disk.calls, disk.files()])
  return Uint8Array.from(createHash('sha256').update(now).digest().subarray(0, count))
}
