/**
 * The writes that a block device is given, as the kernel traces them (`block_rq_issue`): what a file system makes of a
 * store's writes, its own journal included.
 *
 * Needs root and tracefs, which it mounts for itself. docs/benchmarks.md, How it writes.
 */
import { once } from 'node:events'
import { createReadStream, mkdirSync, readFileSync, readdirSync, rmdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { run, SECTOR_BYTES } from './device.js'

/** The buffer of each processor: enough for more than a million writes. */
const BUFFER_KIB = 128 * 1024

/** One request; its offset is on the device. */
export interface DeviceWrite {
  /** On the clock of {@link monotonicSeconds}. */
  readonly seconds: number
  readonly offset: number
  readonly bytes: number
}

/** The clock of the trace. */
export function monotonicSeconds(): number {
  return Number(process.hrtime.bigint()) / 1e9
}

export class BlockTrace {
  readonly #mountPoint: string
  readonly #instance: string

  private constructor(mountPoint: string) {
    this.#mountPoint = mountPoint
    // An instance has its own buffers and events: nobody else's tracing is disturbed.
    this.#instance = join(mountPoint, `instances/flashtable-${process.pid}`)
  }

  /** Begins to trace a device (`loop0`), with tracefs mounted in `directory`; or says why that does not work here. */
  static start(directory: string, device: string): BlockTrace | string {
    const mountPoint = join(directory, 'tracing')
    mkdirSync(mountPoint)
    try {
      run('mount', '-t', 'tracefs', 'tracefs', mountPoint)
    } catch (error) {
      return `no tracefs: ${error instanceof Error ? error.message.split('\n')[0] : String(error)}`
    }
    const trace = new BlockTrace(mountPoint)
    mkdirSync(trace.#instance)
    const [major, minor] = readFileSync(`/sys/block/${device}/dev`, 'utf8').split(':').map(Number)
    trace.#set('trace_clock', 'mono')
    trace.#set('buffer_size_kb', BUFFER_KIB)
    trace.#set('events/block/block_rq_issue/filter', `dev == ${major! * 2 ** 20 + minor!}`)
    trace.#set('events/block/block_rq_issue/enable', 1)
    return trace
  }

  /** Ends the trace; resolves to all writes since the start, in order. Throws if the buffers were too small. */
  async stop(): Promise<DeviceWrite[]> {
    this.#set('events/block/block_rq_issue/enable', 0)
    try {
      const lost = this.#lostEvents()
      if (lost > 0) throw new Error(`the trace lost ${lost} writes: trace fewer records`)
      return await readWrites(join(this.#instance, 'trace'))
    } finally {
      rmdirSync(this.#instance)
      run('umount', this.#mountPoint)
      rmdirSync(this.#mountPoint)
    }
  }

  #set(file: string, value: string | number): void {
    writeFileSync(join(this.#instance, file), `${value}\n`)
  }

  #lostEvents(): number {
    const processors = join(this.#instance, 'per_cpu')
    const lost = readdirSync(processors).map(name => {
      const stats = readFileSync(join(processors, name, 'stats'), 'utf8')
      return Number(/^overrun: (\d+)/m.exec(stats)?.[1])
    })
    return lost.reduce((sum, count) => sum + count, 0)
  }
}

/** Lines like `python3-81 [000] ..... 12.345678: block_rq_issue: 7,0 WS 4096 () 2048 + 8 none,0,0 [python3]`. */
async function readWrites(trace: string): Promise<DeviceWrite[]> {
  const writes: DeviceWrite[] = []
  const input = createReadStream(trace)
  // While it is open the instance is busy.
  const closed = once(input, 'close')
  for await (const line of createInterface({ input })) {
    const event = / (\d+\.\d+): block_rq_issue: \d+,\d+ (\w+) (\d+) \(.*?\) (\d+) \+/.exec(line)
    // Empty requests only make the device sync; others read, or discard.
    if (event === null || !event[2]!.includes('W') || event[3] === '0') continue
    writes.push({
      seconds: Number(event[1]),
      offset: Number(event[4]) * SECTOR_BYTES,
      bytes: Number(event[3]),
    })
  }
  await closed
  return writes
}
