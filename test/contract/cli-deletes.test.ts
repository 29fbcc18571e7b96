/** `flashtable delete` and `clear` as a user sees them: what they delete, what they only count, and what they refuse. */
import { describe, expect, test } from 'vitest'
import { bytes, fixed, FlashTable, struct } from '../../src/index.js'
import { ENCODINGS, imageOf, testCli } from './cli-tables.js'

const { cli, freshPath } = testCli()

/** Twenty records: record i has key i / 2, time i and id -i. */
async function table(): Promise<string> {
  const path = freshPath()
  const table = await FlashTable.open(path, ENCODINGS)
  for (let i = 0; i < 20; i++) await table.put(BigInt(i >> 1), { time: i, flags: i % 2, id: -i })
  await table.close()
  return path
}

async function timesIn(path: string): Promise<number[]> {
  const table = await FlashTable.open(path, { ...ENCODINGS, readOnly: true })
  const times: number[] = []
  for await (const columns of table.scanColumns()) times.push(...columns.time)
  await table.close()
  return times
}

const from = (first: number, to: number): number[] => Array.from({ length: to - first }, (_, i) => first + i)

describe('flashtable get', () => {
  test('prints some of the records of a key', async () => {
    const path = await table()
    const newest = await cli.run('get', path, '3', '--reverse', '--limit', '1')
    expect(newest).toEqual({ code: 0, stdout: 'time\tflags\tid\n7\t1\t-7\n', stderr: '' })
    expect((await cli.run('get', path, '3', '--offset', '1')).stdout).toBe(newest.stdout)
    expect((await cli.run('get', path, '3', '--offset', '2')).code).toBe(1)
    expect((await cli.run('get', path, '3', '--limit', 'many')).code).toBe(2)
  })
})

describe('flashtable delete', () => {
  test('deletes the records of a key', async () => {
    const path = await table()
    expect(await cli.run('delete', path, '0x3')).toEqual({
      code: 0,
      stdout: '2 records deleted\n',
      stderr: '',
    })
    expect(await cli.run('delete', path, '3')).toMatchObject({ code: 0, stdout: '0 records deleted\n' })
    expect(await timesIn(path)).toEqual([...from(0, 6), ...from(8, 20)])
  })

  test('deletes what matches all terms', async () => {
    const path = await table()
    const terms = ['--where', 'time>=4', '--where', ' time < 9 ', '--where', 'flags=1']
    expect((await cli.run('delete', path, ...terms)).stdout).toBe('2 records deleted\n')
    expect(await timesIn(path)).toEqual(from(0, 20).filter(time => time !== 5 && time !== 7))
    expect(await cli.json('delete', path, '--where', 'id<=-0x12')).toEqual({
      directory: path,
      records: 2,
      dryRun: false,
    })
  })

  test('with --dry-run counts, and changes nothing', async () => {
    const path = await table()
    const before = await imageOf(path)
    expect((await cli.run('delete', path, '--where', 'time<9', '--dry-run')).stdout).toBe(
      '9 records would be deleted; nothing was changed\n',
    )
    expect(await cli.json('delete', path, '4', '--dry-run')).toEqual({
      directory: path,
      records: 2,
      dryRun: true,
    })
    expect(await imageOf(path)).toEqual(before)
  })

  test('reads values of all types', async () => {
    const path = freshPath()
    const value = struct({ big: 'i64', digest: bytes(3), ratio: 'f64', word: fixed('utf8', 2) })
    const all = await FlashTable.open(path, { keyEncoding: 'u32', valueEncoding: value })
    for (let i = 0; i < 4; i++)
      await all.put(i, { big: BigInt(-i), digest: Uint8Array.of(i, 2, 3), ratio: i / 2, word: `w${i}` })
    await all.close()
    const counts = async (term: string): Promise<unknown> =>
      (await cli.json('delete', path, '--dry-run', '--where', term))['records']
    expect(await counts('big=-2')).toBe(1)
    expect(await counts('digest=010203')).toBe(1)
    expect(await counts('digest>=020000')).toBe(2)
    expect(await counts('ratio<0.75')).toBe(2)
    expect(await counts('word=w3')).toBe(1)
  })

  test('refuses what it cannot understand, and deletes nothing', async () => {
    const path = await table()
    const before = await imageOf(path)
    const wrong: [string[], string][] = [
      [[], 'give a key, or --where'],
      [['3', '--where', 'time=4'], 'not both'],
      [['--where', 'time'], 'is no term'],
      [['--where', 'name=4'], 'time, flags, id'],
      [['--where', 'time=-4'], 'u16'],
      [['--where', 'time<4', '--where', 'time<5'], 'two terms with < or <='],
      [['--where', 'time=4', '--where', 'time<5'], 'another term'],
      [['--where', 'time<4', '--where', 'time<=5'], 'two terms with < or <='],
    ]
    for (const [args, text] of wrong) {
      const { code, stdout, stderr } = await cli.run('delete', path, ...args)
      expect([code, stdout], stderr).toEqual([2, ''])
      expect(stderr).toContain(text)
    }
    expect(await imageOf(path)).toEqual(before)
    expect((await cli.run('delete', freshPath(), '3')).code).toBe(1)
  })
})

describe('flashtable clear', () => {
  test('deletes the records of a range, or only counts them', async () => {
    const path = await table()
    const range = ['--gte', '2', '--lt', '0x5']
    expect((await cli.run('clear', path, ...range, '--dry-run')).stdout).toBe(
      '6 records would be deleted; nothing was changed\n',
    )
    expect(await timesIn(path)).toEqual(from(0, 20))
    expect((await cli.run('clear', path, ...range)).stdout).toBe('6 records deleted\n')
    expect(await timesIn(path)).toEqual([...from(0, 4), ...from(10, 20)])
    expect(await cli.json('clear', path, '--gt', '8')).toEqual({ directory: path, records: 2, dryRun: false })
    expect((await cli.run('clear', path, '--all')).stdout).toBe('12 records deleted\n')
    expect(await timesIn(path)).toEqual([])
  })

  test('takes a prefix of bytes', async () => {
    const path = freshPath()
    const keys = await FlashTable.open(path, { keyEncoding: bytes(3) })
    for (let i = 0; i < 6; i++) await keys.put(Uint8Array.of(i % 2, i, 9))
    await keys.close()
    expect((await cli.run('clear', path, '--prefix', '01')).stdout).toBe('3 records deleted\n')
    expect((await cli.run('clear', path, '--prefix', '0', '--dry-run')).code).toBe(2)
  })

  test('refuses no range, a range with --all, and keys that cannot be', async () => {
    const path = await table()
    const wrong: [string[], string][] = [
      [[], 'or --all'],
      [['--all', '--gte', '3'], 'not both'],
      [['--gte', 'x'], 'u64'],
      [['--gt', '1', '--gte', '3'], 'not both'],
      [['--prefix', '00'], 'keys of bytes'],
    ]
    for (const [args, text] of wrong) {
      const { code, stderr } = await cli.run('clear', path, ...args)
      expect(code, stderr).toBe(2)
      expect(stderr).toContain(text)
    }
    expect(await timesIn(path)).toEqual(from(0, 20))
  })
})
