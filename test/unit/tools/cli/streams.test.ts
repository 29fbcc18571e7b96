/** tools/cli/streams.ts: records reach a file or a pipe as they are, and a terminal without what acts on it. */
import { afterEach, expect, test, vi } from 'vitest'
import { printChunk } from '../../../../tools/cli/streams.js'

const { isTTY } = process.stdout

afterEach(() => {
  process.stdout.isTTY = isTTY
  vi.restoreAllMocks()
})

test.each([
  [true, 'a,\\u001b[2Jé\t\n'],
  [false, 'a,\u001b[2Jé\t\n'],
])('on a terminal (%s) records are written so: %j', async (isTerminal, expected) => {
  let written = ''
  process.stdout.isTTY = isTerminal
  vi.spyOn(process.stdout, 'write').mockImplementation(((chunk: string | Uint8Array, done: () => void) => {
    written += Buffer.from(chunk as string).toString()
    done()
    return true
  }) as never)
  expect(await printChunk(Buffer.from('a,\u001b[2Jé\t\n'))).toBe(true)
  expect(written).toBe(expected)
})
