/** The process that has a table open for writing: LOCK names it, and Linux tells of it in /proc. */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { LOCK_NAME, LOCK_RECORD_NAME } from '../../../src/io/file-names.js'
import { parseRecord } from '../../../src/io/pid-file.js'
import { processesOf } from '../../../src/io/process-identity.js'

/** Clock ticks of a second in /proc: 100 on every Linux that Node.js runs on. */
const TICKS_PER_SECOND = 100

export interface WriterProcess {
  readonly pid: number
  /** Resident memory in bytes, and processor time so far in milliseconds; absent where the system does not tell. */
  readonly residentBytes?: number
  readonly processorMs?: number
}

const processes = processesOf('/proc')

/** `undefined`: nobody has it open for writing, as far as can be seen from here. */
export async function writerOf(directory: string): Promise<WriterProcess | undefined> {
  const lock = join(directory, LOCK_NAME)
  const bytes = await readFile(lock)
    .catch(() => readFile(join(lock, LOCK_RECORD_NAME)))
    .catch(() => undefined)
  const record = bytes && parseRecord(bytes)
  if (record === undefined || (await processes.judge(record)) === 'dead') return undefined
  const { pid } = record
  try {
    const [status, stat] = await Promise.all([
      readFile(`/proc/${pid}/status`, 'latin1'),
      readFile(`/proc/${pid}/stat`, 'latin1'),
    ])
    const resident = /^VmRSS:\s*(\d+) kB$/m.exec(status)
    // The name, in brackets, may have any characters in it. Behind it: state, then 10 fields, then utime and stime.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    const ticks = Number(fields[11]) + Number(fields[12])
    return {
      pid,
      ...(resident === null ? {} : { residentBytes: Number(resident[1]) * 1024 }),
      ...(Number.isFinite(ticks) ? { processorMs: (ticks * 1000) / TICKS_PER_SECOND } : {}),
    }
  } catch {
    return { pid }
  }
}
