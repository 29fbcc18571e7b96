/** How long the open takes after a kill with the log full. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { openTable } from '../table.js'
import { seconds } from '../timing.js'
import { check, type Workload } from '../workload.js'

export const crashOpen: Workload = {
  name: 'crash-open',
  sentence:
    'A process fills its memory by batches of 8 until a flush begins, goes on during the flush, and is killed (SIGKILL); the next open, which recovers the whole log, is timed.',
  stores: ['flashtable'],
  records: 10_000_000,
  figures: {
    openMs: { unit: 'ms of the open after the kill', better: 'less', target: 1500 },
    recovered: { unit: 'records in the log' },
    flushed: { unit: '1 if the flush had ended before the kill: then the log was shorter' },
  },
  async run({ directory }) {
    const script = fileURLToPath(new URL('../crash-writer.js', import.meta.url))
    const writer = spawn(process.execPath, [script, directory], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    const closed = once(writer, 'close')
    const [put, isFlushed] = await new Promise<string[]>((resolve, reject) => {
      writer.stdout.once('data', (data: Buffer) => resolve(data.toString().trim().split(' ')))
      writer.once('close', () => reject(new Error('the writer ended by itself')))
    })
    writer.kill('SIGKILL')
    await closed
    let table
    const openMs = 1000 * (await seconds(async () => void (table = await openTable(directory))))
    const opened = table as unknown as Awaited<ReturnType<typeof openTable>>
    const stats = await opened.stats()
    check(stats.records === Number(put), () => `${stats.records} records of ${put}`)
    await opened.close()
    return { openMs, recovered: Number(put), flushed: isFlushed === 'true' ? 1 : 0 }
  },
}
