/** The numpy.memmap program: Python with numpy (Debian python3-numpy), skipped if that is missing. */
import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { ROOT } from '../paths.js'
import type { Records } from '../records.js'
import { Skipped } from '../workload.js'

const SLOTS = 32
/** Records in a bucket on average: few enough that hardly any is dropped. Tables in use are as full. */
const RECORDS_PER_BUCKET = 14

export function memmapVersion(): string {
  try {
    return execFileSync('python3', ['-c', 'import numpy; print(numpy.__version__)'], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    }).trim()
  } catch {
    throw new Skipped('python3 with numpy is not installed')
  }
}

interface MemmapLoad {
  readonly file: string
  readonly count: number
  /** Records in a batch. */
  readonly batch: number
  records(from: number, to: number): Records
  /** Whether each batch is on the device before the next; else the kernel writes pages back when it likes. */
  readonly flush: boolean
  /** Awaited before the batch that begins with this record. */
  turn?(from: number): Promise<void>
}

/** Inserts all records; returns the seconds that took and how many were dropped. */
export async function loadMemmap(load: MemmapLoad): Promise<{ seconds: number; dropped: number }> {
  const { file, count, batch, records, flush, turn } = load
  const buckets = 2 ** Math.ceil(Math.log2(Math.max(1024, count) / RECORDS_PER_BUCKET))
  const script = fileURLToPath(new URL('tools/bench/stores/memmap.py', ROOT))
  const args = [script, file, buckets, SLOTS, batch, flush ? 1 : 0].map(String)
  const python = spawn('python3', args, { stdio: ['pipe', 'pipe', 'inherit'] })
  let output = ''
  python.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()))
  const closed = once(python, 'close')
  for (let from = 0; from < count; from += batch) {
    await turn?.(from)
    const packed = pack(records(from, Math.min(from + batch, count)))
    if (!python.stdin.write(packed)) await once(python.stdin, 'drain')
  }
  python.stdin.end()
  const [code] = (await closed) as [number | null]
  if (code !== 0) throw new Error(`the memmap program ended with ${code}`)
  const [seconds, dropped] = output.trim().split(' ').map(Number)
  return { seconds: seconds!, dropped: dropped! }
}

/** Records of 16 little-endian bytes. */
function pack({ key, time, id }: Records): Uint8Array {
  const words = new Uint32Array(key.length * 4)
  const keys = new Uint32Array(key.buffer)
  for (let row = 0; row < key.length; row++) {
    words[4 * row] = keys[2 * row]!
    words[4 * row + 1] = keys[2 * row + 1]!
    words[4 * row + 2] = time[row]!
    words[4 * row + 3] = id[row]!
  }
  return new Uint8Array(words.buffer)
}
