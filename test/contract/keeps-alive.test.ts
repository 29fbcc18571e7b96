/** When the process may end: never while a call waits, at once where a table is only open. */
import { spawn } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { programFile } from '../support/programs.js'

/** A process that has not ended in this time is killed, and the test fails. */
const LIFE_MS_MAX = 60_000

let root = ''
let program = ''
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'flashtable-alive-'))
  program = await programFile('waiting-process.ts')
})
afterAll(() => rm(root, { recursive: true }))

async function outputOf(situation: string): Promise<{ code: unknown; lines: string[] }> {
  const args = [program, situation, join(root, situation)]
  const child = spawn(process.execPath, args, {
    stdio: ['ignore', 'pipe', 'inherit'],
    timeout: LIFE_MS_MAX,
    killSignal: 'SIGKILL',
  })
  const ended = new Promise<unknown>(resolve => child.once('exit', resolve))
  const lines = (await text(child.stdout)).trim().split('\n')
  return { code: await ended, lines }
}

describe('a process', () => {
  test.concurrent.each(['puts', 'compact', 'bulk load', 'open that waits for the lock'])(
    'whose only work is a call that waits does not end in the middle of it: %s',
    async situation => {
      expect(await outputOf(situation)).toEqual({ code: 0, lines: ['done', 'finally', 'before exit'] })
    },
  )

  test.concurrent.each(['idle table', 'iterator between two steps'])(
    'with an open table and nothing to do ends by itself: %s',
    async situation => {
      expect(await outputOf(situation)).toEqual({ code: 0, lines: ['done', 'finally', 'before exit'] })
    },
  )
})
