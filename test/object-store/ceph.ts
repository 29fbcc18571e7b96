/** A Ceph of one's own whose daemons can be killed and started again: one monitor, one OSD with a file, two gateways. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, openSync, closeSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3'
import { s3Store } from '../../src/s3.js'
import type { S3StoreOptions } from '../../src/store/s3-connection.js'
import type { ObjectStore } from '../../src/store/object-store.js'
import { startS3, type RunningS3 } from '../support/s3/s3.js'

export type Daemon = 'osd' | 'rgw' | 'rgw2'

const BUCKET = 'tables'
const PATIENCE_MS = 60_000
const POLL_MS = 20

export class Ceph {
  readonly #s3: RunningS3
  readonly #secondPort: number

  private constructor(s3: RunningS3, secondPort: number) {
    this.#s3 = s3
    this.#secondPort = secondPort
  }

  static async start(): Promise<Ceph> {
    const s3 = await startS3('--durable')
    const ceph = new Ceph(s3, await freePort())
    try {
      await ceph.restart('rgw2')
      const client = new S3Client({ ...s3.options, forcePathStyle: true })
      await client.send(new CreateBucketCommand({ Bucket: BUCKET }))
      client.destroy()
      return ceph
    } catch (error) {
      await ceph.stop()
      throw error
    }
  }

  /** Where the table with that name is, through the first or the second gateway. */
  location(name: string, gateway: 1 | 2): { readonly url: string; readonly options: S3StoreOptions } {
    const { options } = this.#s3
    const endpoint = gateway === 1 ? options.endpoint : `http://127.0.0.1:${this.#secondPort}`
    return { url: `s3://${BUCKET}/${name}`, options: { ...options, endpoint } }
  }

  store(name: string, gateway: 1 | 2): ObjectStore {
    const { url, options } = this.location(name, gateway)
    return s3Store(url, options)
  }

  /** `kill -9`. */
  async kill(daemon: Daemon): Promise<void> {
    const pid = Number(readFileSync(this.#file(`${daemon}.pid`), 'utf8'))
    // A number that the system has given to another process is not ours.
    const isOurs = (): boolean => commandOf(pid).includes(`-c\0${this.#file('ceph.conf')}\0`)
    if (!isOurs()) throw new Error(`${daemon} has ended on its own: look into ${this.#s3.directory}/log`)
    process.kill(pid, 'SIGKILL')
    await until(`${daemon} is gone`, () => !isOurs())
  }

  async restart(daemon: Daemon): Promise<void> {
    const conf = ['-c', this.#file('ceph.conf'), '-f']
    const second = [
      `--rgw-frontends=beast endpoint=127.0.0.1:${this.#secondPort} tcp_nodelay=1`,
      `--admin-socket=${this.#file('run/rgw2.asok')}`,
      `--log-file=${this.#file('log/rgw2.log')}`,
    ]
    const log = openSync(this.#file(`log/${daemon}.out`), 'a')
    const child = spawn(
      daemon === 'osd' ? 'ceph-osd' : 'radosgw',
      [
        ...conf,
        ...(daemon === 'osd' ? ['-i', '0'] : ['-n', 'client.rgw']),
        ...(daemon === 'rgw2' ? second : []),
      ],
      {
        detached: true,
        stdio: ['ignore', log, log],
        env: { ...process.env, CEPH_CONF: this.#file('ceph.conf') },
      },
    )
    closeSync(log)
    await once(child, 'spawn')
    child.unref()
    writeFileSync(this.#file(`${daemon}.pid`), `${child.pid}\n`)
    if (daemon === 'osd') return
    const { endpoint } = this.location('', daemon === 'rgw' ? 1 : 2).options
    await until(`${daemon} answers`, () =>
      fetch(endpoint!).then(
        () => true,
        () => false,
      ),
    )
  }

  stop(): Promise<void> {
    return this.#s3.stop()
  }

  stopNow(): void {
    this.#s3.stopNow()
  }

  #file(name: string): string {
    return join(this.#s3.directory, name)
  }
}

export async function until(what: string, isSo: () => boolean | Promise<boolean>): Promise<void> {
  const endMs = performance.now() + PATIENCE_MS
  while (!(await isSo())) {
    if (performance.now() > endMs) throw new Error(`waited for ${PATIENCE_MS / 1000} s until ${what}`)
    await wait(POLL_MS)
  }
}

function commandOf(pid: number): string {
  const file = `/proc/${pid}/cmdline`
  return existsSync(file) ? readFileSync(file, 'utf8') : ''
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}
