/** `flashtable bench` as a user sees it: figures as text and as JSON, clear errors, and nothing left in the directory. */
import { chmod, mkdir, readdir, writeFile } from 'node:fs/promises'
import { describe, expect, test } from 'vitest'
import { refuseLittleSpace } from '../../tools/cli/bench/run.js'
import { testCli, untilOrEnd } from './cli-tables.js'

const { cli, freshPath } = testCli()
const FEW = ['--records', '3000'] as const
const RATES = [
  'putColumns',
  'put',
  'putTogether',
  'putSynced',
  'bulkLoad',
  'getColumns',
  'getSync',
  'hasMissing',
  'scanColumns',
]

async function emptyDirectory(): Promise<string> {
  const path = freshPath()
  await mkdir(path)
  return path
}

describe('flashtable bench', () => {
  test('prints a line for each figure, nothing else in a pipe, and leaves the directory as it was', async () => {
    const directory = await emptyDirectory()
    const { code, stdout, stderr } = await cli.run('bench', directory, ...FEW)
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    expect(stdout).toContain(`3,000 records of 16 bytes in ${directory}, `)
    for (const by of [
      'putColumns',
      'bulkLoad',
      'put',
      'put with sync',
      'getColumns',
      'getSync',
      'has',
      'scanColumns',
    ])
      expect(stdout).toMatch(new RegExp(`^ *[\\d,.]+  (records|puts|keys) +${by},`, 'm'))
    expect(stdout).toMatch(/^written by putColumns +\d+\.\d\d bytes a byte of records: log [\d,]+,/m)
    expect(stdout).toMatch(/^written by the device +(\d+\.\d\d bytes a byte of records: |not measured: )/m)
    expect(await readdir(directory)).toEqual([])
  })

  test('--json gives numbers, and says what could not be measured', async () => {
    const directory = await emptyDirectory()
    const { perSecond, bytesWritten, device, notMeasured, ...rest } = (await cli.json(
      'bench',
      directory,
      ...FEW,
    )) as Record<string, Record<string, unknown> | undefined>
    expect(rest).toEqual({
      directory,
      records: 3000,
      recordBytes: 16,
      seconds: expect.any(Number) as number,
      writeAmplification: expect.any(Number) as number,
    })
    for (const name of RATES) expect(perSecond![name], name).toBeGreaterThan(0)
    const written = bytesWritten as Record<string, number>
    const { wal, buckets } = written
    // Records that fit in memory are in the log alone, packed.
    expect(buckets).toBe(0)
    expect(wal).toBeGreaterThan(3000)
    const sum = Object.values(written).reduce((sum, bytes) => sum + bytes)
    expect(rest['writeAmplification']).toBeCloseTo(sum / 48_000)
    expect(device === undefined).toBe(notMeasured!['device'] !== undefined)
    expect(perSecond!['getColumnsCold'] === undefined).toBe(notMeasured!['getColumnsCold'] !== undefined)
    if (device !== undefined) expect(device['bytesWritten']).toBeGreaterThan(wal!)
    expect(await readdir(directory)).toEqual([])
  })

  test.each(['SIGINT', 'SIGTERM'] as const)('interrupted by %s, it leaves nothing', async signal => {
    const directory = await emptyDirectory()
    const { child, result } = cli.start('bench', directory, '--records', '5000000')
    await untilOrEnd(child, async () => (await readdir(directory, { recursive: true })).length > 2)
    child.kill(signal)
    const { code, stdout, stderr } = await result
    expect({ code, stdout }).toEqual({ code: signal === 'SIGINT' ? 130 : 143, stdout: '' })
    expect(stderr).toBe(`flashtable: INTERRUPTED: interrupted by ${signal}\n`)
    expect(await readdir(directory)).toEqual([])
  })

  test('says that DIR is not there, or is a file', async () => {
    const missing = freshPath()
    const { code, stdout, stderr } = await cli.run('bench', missing, ...FEW)
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' })
    expect(stderr).toBe(
      `flashtable: FLASHTABLE_NOT_FOUND: there is no directory ${missing}; ` +
        'give one that is there, on the disk to measure\n',
    )
    await writeFile(missing, 'a file')
    const file = await cli.run('bench', missing, ...FEW)
    expect(file.code).toBe(1)
    expect(file.stderr).toContain(
      `flashtable: FLASHTABLE_IO_ERROR: ${missing}: nothing can be made in it: ENOTDIR`,
    )
  })

  // Root may write anywhere but in the files of the kernel.
  test.runIf(process.platform === 'linux' || process.getuid!() !== 0)(
    'says that DIR takes nothing',
    async () => {
      const directory = process.getuid!() === 0 ? '/sys' : await emptyDirectory()
      if (directory !== '/sys') await chmod(directory, 0o500)
      const { code, stderr } = await cli.run('bench', directory, ...FEW)
      expect(code).toBe(1)
      expect(stderr).toContain(`flashtable: FLASHTABLE_IO_ERROR: ${directory}: nothing can be made in it: E`)
    },
  )

  test('refuses numbers of records that it cannot have', async () => {
    for (const records of ['0', '-5', '2000000001', 'many']) {
      const { code, stderr } = await cli.run('bench', '--records', records)
      expect({ records, code }).toEqual({ records, code: 2 })
      expect(stderr).toContain('flashtable: WRONG_USAGE: ')
    }
  })

  test('needs room for three times the records and some log', () => {
    const needed = 3 * 16_000_000 + 256 * 2 ** 20
    refuseLittleSpace('/x', 1_000_000, needed)
    expect(() => refuseLittleSpace('/x', 1_000_000, needed - 1)).toThrow(
      '/x: the benchmark needs up to 316,435,456 bytes, 316,435,455 bytes are free; give fewer --records',
    )
  })
})
