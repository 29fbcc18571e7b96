/** An S3 store on this machine alone, by the scripts of the tests. */
import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { ReaderTask } from './keys.js'

const SCRIPTS = join(import.meta.dirname, '../../../test/support/s3')

export interface Ceph {
  readonly options: ReaderTask['options']
  stop(): Promise<void>
}

/** Rejects where Ceph is not installed, or for other users than root. */
export async function startCeph(): Promise<Ceph> {
  const directory = mkdtempSync(join(tmpdir(), 'flashtable-s3-'))
  const { stdout } = await promisify(execFile)(join(SCRIPTS, 'start.sh'), [directory, '--port', '0'])
  const { endpoint, region, accessKeyId, secretAccessKey } = JSON.parse(stdout) as Record<string, string>
  return {
    options: {
      endpoint: endpoint!,
      region: region!,
      credentials: { accessKeyId: accessKeyId!, secretAccessKey: secretAccessKey! },
    },
    async stop() {
      await promisify(execFile)(join(SCRIPTS, 'stop.sh'), [directory])
      rmSync(directory, { recursive: true, force: true })
    },
  }
}
