/** The self-test of the runtime's CRC-32: it believes the right one, and none of those that are wrong somewhere. */
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { crc32 } from 'node:zlib'
import { describe, expect, test } from 'vitest'
import { defectOf, type Crc32 } from '../../../src/format/checksum-test.js'
import { LIBRARY, programOf } from '../../support/programs.js'

/** Of bytes. */
type BytesCrc32 = (bytes: Uint8Array, seed?: number) => number

const WRONG: readonly (readonly [string, BytesCrc32])[] = [
  ['is always 0', () => 0],
  ['is signed', (bytes, seed) => crc32(bytes, seed) | 0],
  ['takes no seed', bytes => crc32(bytes)],
  ['takes a signed seed for 0', (bytes, seed = 0) => crc32(bytes, seed >= 0x80000000 ? 0 : seed)],
  ['is another polynomial', (bytes, seed) => crc32(bytes, seed) ^ (bytes.length === 0 ? 0 : 0x1edc6f41)],
  ['is wrong from 64 bytes on', (bytes, seed) => crc32(bytes.length < 64 ? bytes : bytes.subarray(1), seed)],
  ['leaves out what words do not hold', (bytes, seed) => crc32(bytes.subarray(0, bytes.length & ~15), seed)],
  [
    'reads from aligned places',
    (bytes, seed) => crc32(new Uint8Array(bytes.buffer, bytes.byteOffset & ~3, bytes.length), seed),
  ],
  [
    'copies no shared memory',
    (bytes, seed) => (bytes.buffer instanceof SharedArrayBuffer ? 1 : crc32(bytes, seed)),
  ],
  ['ends at a page', (bytes, seed) => crc32(bytes.subarray(0, 4095), seed)],
]

test('the checksum of this runtime is believed', () => {
  expect(defectOf(crc32)).toBeUndefined()
})

test.each(WRONG)('a checksum that %s is not believed', (_, wrong) => {
  expect(defectOf(wrong as Crc32)).toMatch(/zlib\.crc32 of .* expected is/)
})

test('a runtime without one is told as such', () => {
  expect(defectOf(undefined)).toBe('there is no zlib.crc32')
})

describe('the package', () => {
  const load = async (replacement: string): Promise<string> => {
    const program = `import zlib from 'node:zlib'
      import { syncBuiltinESMExports } from 'node:module'
      zlib.crc32 = ${replacement}
      syncBuiltinESMExports()
      const outcome = await import(${LIBRARY}).then(() => 'loaded', error => error.code + ' ' + error.message)
      console.log(outcome)`
    return (await promisify(execFile)(process.execPath, [await programOf(program)])).stdout.trim()
  }

  test('is refused by a runtime whose checksums are wrong, or missing', async () => {
    const [wrong, missing, right] = await Promise.all(['() => 0', 'undefined', 'zlib.crc32'].map(load))
    expect(wrong).toMatch(/^FLASHTABLE_UNSUPPORTED_RUNTIME .*zlib\.crc32 of 'a' is 0/)
    expect(missing).toMatch(/^FLASHTABLE_UNSUPPORTED_RUNTIME .*no zlib\.crc32; use Node\.js 20\.19/)
    expect(right).toBe('loaded')
  })
})
