/** A real S3 store for tests, on this machine alone: Ceph, as Debian packs it. start.sh makes it, in 2 s once it is installed. */
import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { spawnSync } from 'node:child_process'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'

const HERE = import.meta.dirname
const PROGRAMS = ['ceph-mon', 'ceph-osd', 'radosgw', 'radosgw-admin']

export interface RunningS3 {
  readonly options: {
    readonly endpoint: string
    readonly region: string
    readonly credentials: { readonly accessKeyId: string; readonly secretAccessKey: string }
  }
  /** Where its daemons have their files. */
  readonly directory: string
  stop(): Promise<void>
  /** For a process that is about to exit. */
  stopNow(): void
}

/** What is missing to start one; `undefined` if nothing is. */
export function whyNoS3(): string | undefined {
  if (process.getuid?.() !== 0) return 'only root can start Ceph'
  const missing = PROGRAMS.filter(name => spawnSync('sh', ['-c', `command -v ${name}`]).status !== 0)
  return missing.length === 0 ? undefined : `${missing.join(', ')} not installed`
}

/** An empty one at a free port. `--durable`: what it stores outlives a kill of its OSD. */
export async function startS3(...more: '--durable'[]): Promise<RunningS3> {
  const directory = mkdtempSync(join(tmpdir(), 'flashtable-s3-'))
  const { stdout } = await promisify(execFile)(join(HERE, 'start.sh'), [directory, '--port', '0', ...more])
  const { endpoint, region, accessKeyId, secretAccessKey } = JSON.parse(stdout) as Record<string, string>
  return {
    directory,
    options: {
      endpoint: endpoint!,
      region: region!,
      credentials: { accessKeyId: accessKeyId!, secretAccessKey: secretAccessKey! },
    },
    async stop() {
      await promisify(execFile)(join(HERE, 'stop.sh'), [directory])
      rmSync(directory, { recursive: true, force: true })
    },
    stopNow() {
      spawnSync(join(HERE, 'stop.sh'), [directory])
      rmSync(directory, { recursive: true, force: true })
    },
  }
}
