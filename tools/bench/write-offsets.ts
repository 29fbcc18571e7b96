/**
 * Draws where on the device a numpy.memmap table and flashtable write, over time: `npm --prefix tools/bench run
 * write-offsets`. Makes docs/pictures/write-offsets.svg and prints what the traces show.
 *
 * Both get the same random records at the same pace, a batch at a time, each batch on the device before the next; each
 * has its own ext4 file system, whose device is traced. Needs root, tracefs and loop devices, and Python with numpy.
 * docs/benchmarks.md, How it writes.
 */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Command } from 'commander'
import { BlockTrace, monotonicSeconds, type DeviceWrite } from './block-trace.js'
import { mountDevice, run } from './device.js'
import { document, OUR_COLOUR, plot, savePicture } from './picture.js'
import { randomRecords, RECORD_BYTES } from './records.js'
import { loadMemmap, memmapVersion } from './stores/memmap.js'
import { openTable, settled } from './table.js'
import { Skipped } from './workload.js'

/** Room for either store and little more, so that the picture shows places clearly. */
const DEVICE_BYTES = 256 * 2 ** 20
const BATCH_RECORDS = 4096
/** So small that seals and a merge fall into the picture. */
const MEMTABLE_BYTES = 2 ** 20
/** The most lines for each store; more would make the picture larger, not clearer. */
const MOST_LINES = 2500

interface Options {
  readonly records: number
  readonly pace: number
  readonly dir: string
}

/** What a store's device was given, from the first batch on. */
interface Trace {
  readonly store: string
  readonly writes: readonly DeviceWrite[]
}

/** Loads all records in batches and awaits `turn` before each. */
type Load = (directory: string, turn: (from: number) => Promise<void>) => Promise<void>

async function main({ records, pace, dir }: Options): Promise<void> {
  const loads: Record<string, Load> = {
    'numpy.memmap': async (directory, turn) => {
      memmapVersion()
      const file = join(directory, 'records.memmap')
      await loadMemmap({
        file,
        count: records,
        batch: BATCH_RECORDS,
        records: randomRecords,
        flush: true,
        turn,
      })
    },
    flashtable: async (directory, turn) => {
      const table = await openTable(directory, { bufferBytes: MEMTABLE_BYTES })
      for (let from = 0; from < records; from += BATCH_RECORDS) {
        await turn(from)
        await table.putColumns(randomRecords(from, Math.min(from + BATCH_RECORDS, records)), { sync: true })
      }
      await settled(table)
      await table.close()
    },
  }
  const base = mkdtempSync(join(dir, 'flashtable-offsets-'))
  try {
    const traces: Trace[] = []
    for (const [store, load] of Object.entries(loads)) {
      traces.push({ store, writes: await traceLoad(base, load, pace) })
      print(traces.at(-1)!, records)
    }
    savePicture('write-offsets.svg', draw(traces))
  } catch (error) {
    if (!(error instanceof Skipped)) throw error
    process.stdout.write(`skipped: ${error.message}\n`)
  } finally {
    rmSync(base, { recursive: true, force: true })
  }
}

async function traceLoad(base: string, load: Load, pace: number): Promise<DeviceWrite[]> {
  const device = mountDevice(base, DEVICE_BYTES)
  if (typeof device === 'string') throw new Skipped(device)
  try {
    const directory = join(device.directory, 'case')
    mkdirSync(directory)
    // Writes that are left over from making the file system are not the store's.
    run('sync', '--file-system', directory)
    const trace = BlockTrace.start(base, device.name)
    if (typeof trace === 'string') throw new Skipped(trace)
    const start = monotonicSeconds()
    try {
      await load(directory, from => until(start + ((from / BATCH_RECORDS) * pace) / 1000))
      run('sync', '--file-system', directory)
    } catch (error) {
      await trace.stop().catch(() => {})
      throw error
    }
    return (await trace.stop()).map(write => ({ ...write, seconds: write.seconds - start }))
  } finally {
    device.unmount()
  }
}

async function until(seconds: number): Promise<void> {
  const wait = seconds - monotonicSeconds()
  if (wait > 0) await new Promise(resolve => setTimeout(resolve, wait * 1000))
}

function print({ store, writes }: Trace, records: number): void {
  const bytes = writes.reduce((sum, write) => sum + write.bytes, 0)
  const amplification = (bytes / records / RECORD_BYTES).toFixed(2)
  process.stdout.write(
    `${store}: ${writes.length} writes, ${bytes} bytes, ${amplification} for each byte of records\n`,
  )
}

function draw(traces: readonly Trace[]) {
  const lines = traces.flatMap(({ store, writes }) => {
    const step = Math.ceil(writes.length / MOST_LINES)
    const panel = step === 1 ? `${store}, every write` : `${store}, one write in ${step}`
    return writes
      .filter((_, at) => isDrawn(at, step))
      .map(({ seconds, offset, bytes }) => ({
        panel,
        seconds,
        from: offset / 2 ** 20,
        to: (offset + bytes) / 2 ** 20,
      }))
  })
  return plot.plot({
    document,
    width: 960,
    height: 420,
    fx: { label: null, domain: [...new Set(lines.map(line => line.panel))] },
    x: { label: 'seconds', grid: true },
    y: { label: 'place on the device, MiB', grid: true },
    marks: [
      plot.ruleX(lines, {
        fx: 'panel',
        x: 'seconds',
        y1: 'from',
        y2: 'to',
        stroke: OUR_COLOUR,
        strokeWidth: 1.5,
        strokeLinecap: 'round',
      }),
    ],
  })
}

/**
 * One in `step`, at uneven distances: even ones could match the store's own rhythm and draw lines that do not exist.
 */
function isDrawn(at: number, step: number): boolean {
  return Math.imul(at + 1, 0x9e3779b1) >>> 0 < 2 ** 32 / step
}

const program = new Command('write-offsets')
  .option('--records <count>', 'random records', Number, 1_000_000)
  .option('--pace <ms>', 'from batch to batch', Number, 100)
  .option('--dir <directory>', 'where the tables are made', tmpdir())
await main(program.parse().opts<Options>())
