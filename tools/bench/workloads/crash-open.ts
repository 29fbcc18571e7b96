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
    'A process fills a memtable by batches of 8 and, while its seal has just begun, a second one, and is killed (SIGKILL); the next open, which recovers both logs, is timed.',
  stores: ['flashtable'],
  records: 4_090_000,
  figures: {
    openMs: { unit: 'ms of the open after the kill', better: 'less', target: 1500 },
    recovered: { unit: 'records in the log' },
  },
  async run({ directory }) {
    const script = fileURLToPath(new URL('../crash-writer.js', import.meta.url))
    const writer = spawn(process.execPath, [script, directory], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    const closed = once(writer, 'close')
    const put = await new Promise<number>((resolve, reject) => {
      writer.stdout.once('data', (data: Buffer) => resolve(Number(data.toString())))
      writer.once('close', () => reject(new Error('the writer ended by itself')))
    })
    writer.kill('SIGKILL')
    await closed
    let table
    const openMs = 1000 * (await seconds(async () => void (table = await openTable(directory))))
    const opened = table as unknown as Awaited<ReturnType<typeof openTable>>
    const stats = await opened.stats()
    check(stats.records === put, () => `${stats.records} records of ${put}`)
    await opened.close()
    return { openMs, recovered: put }
  },
}
