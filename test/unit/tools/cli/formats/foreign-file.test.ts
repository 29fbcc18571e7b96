/** Files of other formats are not taken for records, whatever their size. */
import { spawnSync } from 'node:child_process'
import { appendFile, mkdir, mkdtemp, rm, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { FlashTable } from '../../../../../src/index.js'
import { parseSchema } from '../../../../../tools/cli/schema.js'
import { openRaw } from '../../../../support/open-raw.js'

/** Of one byte, so that every size fits. */
const BYTES = parseSchema('key:u8')

let directory: string
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'flashtable-foreign-file-'))
})
afterAll(async () => {
  await rm(directory, { recursive: true })
})

let files = 0
async function fileOf(content: Uint8Array | string): Promise<string> {
  const path = join(directory, `${files++}.bin`)
  await writeFile(path, typeof content === 'string' ? Buffer.from(content, 'latin1') : content)
  return path
}

const padded = (text: string, bytes = 512): Buffer => {
  const content = Buffer.alloc(bytes, 7)
  content.write(text, 'latin1')
  return content
}

const at = (offset: number, text: string): Buffer => {
  const content = Buffer.alloc(1024, 7)
  content.write(text, offset, 'latin1')
  return content
}

/** As `numpy.save` writes it. */
function npy(array: Uint8Array): Buffer {
  const header = "{'descr': '|u1', 'fortran_order': False, 'shape': (4,), }".padEnd(117) + '\n'
  const length = Buffer.alloc(2)
  length.writeUInt16LE(header.length)
  return Buffer.concat([Buffer.from('\x93NUMPY\x01\0', 'latin1'), length, Buffer.from(header), array])
}

const FOREIGN: [string, Uint8Array | string, string][] = [
  ['.npy', npy(Uint8Array.of(1, 2, 3, 4)), '--format npy'],
  ['Parquet', padded('PAR1'), 'Parquet'],
  ['Arrow', padded('ARROW1\0\0'), 'Arrow'],
  ['Feather', padded('FEA1'), 'Feather'],
  ['gzip', gzipSync('records'), 'unpack it first'],
  ['zstd', padded('\x28\xb5\x2f\xfd'), 'unpack it first'],
  ['xz', padded('\xfd7zXZ\0'), 'unpack it first'],
  ['bzip2', padded('BZh91AY&SY'), 'unpack it first'],
  ['zip and .npz', padded('PK\x03\x04'), 'zip archive'],
  ['tar', at(257, 'ustar\0'), 'tar archive'],
  ['SQLite', padded('SQLite format 3\0'), 'SQLite'],
  ['HDF5', padded('\x89HDF\r\n\x1a\n'), 'HDF5'],
  ['LMDB', at(16, '\xde\xc0\xef\xbe'), 'LMDB'],
  ['CSV', 'key,time\n1,2\n3,4\n', 'CSV'],
  ['CSV with a byte order mark', '\xef\xbb\xbfkey;time\r\n1;2\r\n', 'CSV'],
  ['tab separated', 'Schl\xc3\xbcssel\tZeit\n1\t2\n', 'CSV'],
  ['JSON', '[{"key":1}]', 'JSON'],
  ['JSON lines', '{"key": 1}\n{"key": 2}\n', 'JSON'],
  ['the manifest of a table', 'flashtable manifest 2 00000000 2\n{}', 'flashtable'],
]

describe('a file of another format', () => {
  test.each(FOREIGN)(
    '%s is not taken for records, nor for a memmap, but by force',
    async (_, content, says) => {
      const path = await fileOf(content)
      const refused = { code: 'WRONG_FILE', message: expect.stringContaining(says) as string }
      await expect(openRaw(path, BYTES)).rejects.toMatchObject(refused)
      const bytes = Buffer.from(content as string, 'latin1').byteLength
      const shape = { buckets: 1, slots: bytes }
      await expect(openRaw(path, parseSchema('key:u8,flags:u8'), shape)).rejects.toMatchObject(refused)
      const forced = await openRaw(path, BYTES, undefined, true)
      expect(forced.bytes).toBe(bytes)
      await forced.close()
    },
  )

  test('that is part of a table is not taken for records', async () => {
    const location = join(directory, 'table')
    const table = await FlashTable.open(location, { keyEncoding: 'u8' })
    await table.put(1)
    await table.compact()
    await table.put(2)
    const { files } = await table.stats()
    await table.close()
    const log = '000001.wal'
    await writeFile(join(location, log), new Uint8Array(4096), { flag: 'a' })
    for (const name of [files[0]!.name, log, 'MANIFEST']) {
      await expect(openRaw(join(location, name), BYTES)).rejects.toMatchObject({
        message: expect.stringContaining('flashtable') as string,
      })
    }
  })
})

describe('records', () => {
  test.each([
    [
      'of text without separators, such as digests in hex',
      'da39a3ee5e6b4b0d3255bfef95601890afd80709'.repeat(3),
    ],
    ['of lines of hex', 'da39a3ee\n5e6b4b0d\n'],
    ['of zeros', '\0'.repeat(64)],
    ['that begin as a shorter sign does', 'NUMPY\x93PAR0'],
    ['of one byte', '{'],
    ['none at all', ''],
  ])('%s are records', async (_, content) => {
    const file = await openRaw(await fileOf(content), BYTES)
    expect(file.bytes).toBe(content.length)
    await file.close()
  })

  test('of a file that is written to meanwhile are refused at the end', async () => {
    const path = await fileOf(new Uint8Array(64))
    for (const change of [
      () => appendFile(path, new Uint8Array(8)),
      () => utimes(path, new Date(), new Date(5)),
    ]) {
      const file = await openRaw(path, BYTES)
      const read = async () => {
        for await (const { rows } of file.batches([])) {
          expect(rows).toBeGreaterThan(0)
          await change()
        }
      }
      await expect(read()).rejects.toMatchObject({
        code: 'WRONG_FILE',
        message: expect.stringContaining('was written to') as string,
      })
      await file.close()
    }
  })

  test('are not read from a directory or a pipe', async () => {
    const folder = join(directory, 'folder')
    await mkdir(folder)
    await expect(openRaw(folder, BYTES)).rejects.toThrow('not a regular file but a directory')
    const pipe = join(directory, 'pipe')
    expect(spawnSync('mkfifo', [pipe]).status).toBe(0)
    await expect(openRaw(pipe, BYTES)).rejects.toThrow('not a regular file but a pipe')
  })
})
