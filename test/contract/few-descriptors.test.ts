/** A process that has no descriptor left for a while: calls are rejected or wait, and nothing is poisoned or lost. */
import { execFile } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { beforeAll, expect, test } from 'vitest'
import { Cli } from '../support/run-cli.js'

const SCRIPT = fileURLToPath(new URL('../support/few-descriptors.ts', import.meta.url))

let compiled: Cli

beforeAll(async () => {
  compiled = await Cli.build()
})

test('a process without descriptors for a while poisons no table, and goes on when there are some again', async () => {
  const root = await mkdtemp(join(tmpdir(), 'flashtable-descriptors-'))
  try {
    const command = `ulimit -n 200 && exec "$0" --import tsx "$1" "$2" "$3"`
    const args = ['-c', command, process.execPath, SCRIPT, join(root, 'table'), compiled.library]
    const { stdout } = await promisify(execFile)('sh', args, { timeout: 60_000 })
    const { codes, lost } = JSON.parse(stdout) as { codes: string[]; lost: number }
    expect(lost).toBe(0)
    expect(codes.filter(code => code !== 'FLASHTABLE_IO_ERROR')).toEqual([])
  } finally {
    await rm(root, { recursive: true })
  }
})
