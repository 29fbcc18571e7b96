/** The environment of a table on a simulated disk: no lock, inline compaction, random bytes and waits without a clock. */
import { inlineExecutor } from '../../src/compaction/inline-executor.js'
import type { Environment } from '../../src/environment.js'
import type { FileSystem } from '../../src/io/file-system.js'

export function simulatedEnvironment(fileSystem: FileSystem): Environment {
  return {
    fileSystem,
    acquireLock: () => Promise.resolve({ release: () => Promise.resolve() }),
    newExecutor: () => inlineExecutor(fileSystem),
    randomBytes: count => new Uint8Array(count).fill(7),
    wait: () => new Promise(resolve => void setImmediate(resolve)),
  }
}
