/** `flashtable scan`, `count`, `get` of several keys and `put`, as a user sees them. */
import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { text } from 'node:stream/consumers'
import { promisify } from 'node:util'
import { describe, expect, test } from 'vitest'
import { bytes, fixed, FlashTable, struct } from '../../src/index.js'
import { ENCODINGS, imageOf, testCli } from './cli-tables.js'

const { cli, freshPath, smallTable } = testCli()

/** Twenty records: record i has key i / 2, time i and id -i. */
async function table(): Promise<string> {
  const path = freshPath()
  const table = await FlashTable.open(path, ENCODINGS)
  for (let i = 0; i < 20; i++) await table.put(BigInt(i >> 1), { time: i, flags: i % 2, id: -i })
  await table.close()
  return path
}

/** A table of many records, which fill a pipe many times. */
async function largeTable(): Promise<string> {
  const path = freshPath()
  const table = await FlashTable.open(path, ENCODINGS)
  await table.putColumns({
    key: BigUint64Array.from({ length: 300_000 }, (_, i) => BigInt(i)),
    time: new Uint16Array(300_000),
    flags: new Uint16Array(300_000),
    id: new Int32Array(300_000),
  })
  await table.close()
  return path
}

/** A table whose keys are JSON, two records of each of two keys. */
async function jsonKeys(): Promise<string> {
  const path = freshPath()
  const value = struct({ word: fixed('utf8', 4), time: 'u8' })
  const table = await FlashTable.open(path, { keyEncoding: fixed('json', 7), valueEncoding: value })
  for (const n of [1, 2]) {
    await table.put({ a: n }, { word: 'a,"b', time: 1 })
    await table.put({ a: n }, { word: 'c\u009bd', time: 2 })
  }
  await table.close()
  return path
}

describe('flashtable scan', () => {
  test('prints the records of a range, in all formats, and changes nothing', async () => {
    const path = await table()
    const before = await imageOf(path)
    const range = ['--gt', '2', '--lte', '0x4', '--where', 'time>6', '--columns', 'id,key']
    const records = [
      [-7, '3'],
      [-8, '4'],
      [-9, '4'],
    ] as const
    const lines = (separator: string): string => ['id', 'key'].join(separator) + '\n'
    const rows = (separator: string): string => records.map(row => `${row.join(separator)}\n`).join('')
    expect(await cli.run('scan', path, ...range)).toEqual({
      code: 0,
      stdout: lines('\t') + rows('\t'),
      stderr: '',
    })
    expect((await cli.run('scan', path, ...range, '--format', 'csv')).stdout).toBe(lines(',') + rows(','))
    expect((await cli.run('scan', path, ...range, '--format', 'jsonl')).stdout).toBe(
      records.map(([id, key]) => `{"id":${id},"key":"${key}"}\n`).join(''),
    )
    expect(await cli.json('scan', path, ...range)).toEqual({
      directory: path,
      records: records.map(([id, key]) => ({ id, key })),
    })
    expect(await imageOf(path)).toEqual(before)
  })

  test('prints from the last record on, at most so many, and keys once', async () => {
    const path = await table()
    const last = await cli.run('scan', path, '--reverse', '--limit', '2')
    expect(last.stdout).toBe('key\ttime\tflags\tid\n9\t19\t1\t-19\n9\t18\t0\t-18\n')
    expect((await cli.run('scan', path, '--keys', '--limit', '3')).stdout).toBe('key\n0\n1\n2\n')
    expect((await cli.run('scan', path, '--keys', '--reverse', '--gte', '8')).stdout).toBe('key\n9\n8\n')
    expect(await cli.json('scan', path, '--gt', '9')).toEqual({ directory: path, records: [] })
  })

  test('prints texts so that each record keeps its line, and CSV says what they are', async () => {
    const path = await jsonKeys()
    const plain = await cli.run('scan', path, '--lte', '{"a":1}')
    expect(plain.stdout).toBe('key\tword\ttime\n{"a":1}\ta,"b\t1\n{"a":1}\t"c\\u009bd"\t2\n')
    const csv = await cli.run('scan', path, '--format', 'csv', '--limit', '1')
    expect(csv.stdout).toBe('key,word,time\n"{""a"":1}","a,""b",1\n')
    expect((await cli.run('scan', path, '--keys', '--reverse')).stdout).toBe('key\n{"a":2}\n{"a":1}\n')
    expect((await cli.json('scan', path, '--gt', '{"a":1}'))['records']).toEqual([
      { key: { a: 2 }, word: 'a,"b', time: 1 },
      { key: { a: 2 }, word: 'c\u009bd', time: 2 },
    ])
  })

  test('refuses what it cannot understand with 2', async () => {
    const path = await table()
    const wrong: [string[], string][] = [
      [['--columns', 'key,name'], 'key, time, flags, id'],
      [['--columns', 'id,id'], 'given twice'],
      [['--keys', '--columns', 'id'], 'not both'],
      [['--json', '--format', 'csv'], 'not both'],
      [['--format', 'xml'], 'Allowed choices'],
      [['--gte', 'x'], 'u64'],
      [['--where', 'name=4'], 'time, flags, id'],
    ]
    for (const [args, says] of wrong) {
      const { code, stderr } = await cli.run('scan', path, ...args)
      expect([code, stderr]).toEqual([2, expect.stringContaining(says)])
    }
    expect((await cli.run('scan', freshPath())).code).toBe(1)
  })

  test('ends with 0 and says nothing where its reader has seen enough', async () => {
    const child = cli.startInto('pipe', 'scan', await largeTable())
    child.stdout!.once('data', () => child.stdout!.destroy())
    const [[code], stderr] = await Promise.all([once(child, 'close'), text(child.stderr!)])
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  })

  test.runIf(process.platform === 'linux')('tells that its output cannot be written', async () => {
    const full = openSync('/dev/full', 'w')
    const child = cli.startInto(full, 'scan', await largeTable(), '--format', 'csv')
    const [[code], stderr] = await Promise.all([once(child, 'close'), text(child.stderr!)])
    closeSync(full)
    expect(code).toBe(1)
    expect(stderr).toMatch(/^flashtable: FLASHTABLE_DISK_FULL: standard output [^\n]+\n$/)
  })

  test('waits for a reader that does not read, and can be interrupted meanwhile', async () => {
    const pipe = freshPath()
    await promisify(execFile)('mkfifo', [pipe])
    const reader = await open(pipe, 'r+')
    const child = cli.startInto(reader.fd, 'scan', await largeTable(), '--json')
    await reader.read(Buffer.alloc(1))
    child.kill('SIGINT')
    const [[code], stderr] = await Promise.all([once(child, 'close'), text(child.stderr!)])
    await reader.close()
    expect(code).toBe(130)
    expect(stderr).toBe('flashtable: INTERRUPTED: interrupted by SIGINT\n')
  })
})

describe('flashtable count', () => {
  test('counts all, a range, and what matches', async () => {
    const path = await table()
    expect(await cli.run('count', path)).toEqual({ code: 0, stdout: '20\n', stderr: '' })
    const range = ['--gte', '2', '--lt', '5', '--where', 'flags=1']
    expect(await cli.json('count', path, ...range)).toEqual({ directory: path, records: 3 })
    expect((await cli.run('count', path, '--where', 'name=1')).code).toBe(2)
    expect((await cli.run('count', freshPath())).code).toBe(1)
  })

  test('takes ranges of keys that are objects, and so do clear and delete', async () => {
    const path = await jsonKeys()
    expect((await cli.run('count', path)).stdout).toBe('4\n')
    expect((await cli.run('count', path, '--gt', '{"a":1}')).stdout).toBe('2\n')
    expect((await cli.run('clear', path, '--gt', '{"a":1}')).stdout).toBe('2 records deleted\n')
    expect((await cli.run('delete', path, '--where', 'time=2')).stdout).toBe('1 record deleted\n')
    expect((await cli.run('count', path)).stdout).toBe('1\n')
  })
})

describe('flashtable get', () => {
  test('prints the records of several keys, each after its key', async () => {
    const path = await table()
    const found = await cli.run('get', path, '4', '99', '0x2', '4', '--limit', '1', '--offset', '1')
    expect(found).toEqual({
      code: 0,
      stdout: 'key\ttime\tflags\tid\n4\t9\t1\t-9\n2\t5\t1\t-5\n4\t9\t1\t-9\n',
      stderr: '',
    })
    expect(await cli.json('get', path, '98', '1', '--reverse', '--limit', '1')).toEqual({
      directory: path,
      records: [{ key: '1', time: 3, flags: 1, id: -3 }],
    })
    expect(await cli.run('get', path, '98', '99')).toEqual({ code: 1, stdout: '', stderr: '' })
  })

  test('finds near keys', async () => {
    const path = freshPath()
    const set = await FlashTable.open(path, { keyEncoding: bytes(2) })
    for (const key of [1, 2, 5]) await set.put(Uint8Array.of(0, key))
    await set.close()
    expect((await cli.run('get', path, '0002', '0006', '--within', '1')).stdout).toBe(
      'query\tkey\n0002\t0001\n0002\t0002\n0006\t0005\n',
    )
    expect((await cli.json('get', await table(), '11', '--within', '2'))['records']).toEqual([
      { query: '11', key: '9', time: 18, flags: 0, id: -18 },
      { query: '11', key: '9', time: 19, flags: 1, id: -19 },
    ])
    const hex = freshPath()
    const digests = await FlashTable.open(hex, { keyEncoding: fixed('hex', 2) })
    await digests.put('00ff')
    await digests.close()
    expect((await cli.run('get', hex, '0100', '--within', '1')).stdout).toBe('query\tkey\n0100\t00ff\n')
    expect((await cli.run('get', path, '0002', '--within', '1', '--limit', '1')).code).toBe(2)
    expect((await cli.run('get', path, '0002', '--within', '-1')).code).toBe(2)
  })

  test('reads keys from standard input, and tells the line of a wrong one', async () => {
    const path = await table()
    expect(await cli.runWith('\n 3\r\n\n0x1\n', 'get', path, '-', '--limit', '1')).toEqual({
      code: 0,
      stdout: 'key\ttime\tflags\tid\n3\t6\t0\t-6\n1\t2\t0\t-2\n',
      stderr: '',
    })
    const wrong = await cli.runWith('99\n\nseven\n3\n', 'get', path, '-')
    expect([wrong.code, wrong.stdout]).toEqual([2, ''])
    expect(wrong.stderr).toContain('line 3 of standard input: "seven"')
    expect((await cli.runWith('', 'get', path, '-')).code).toBe(1)
  })

  test('ends when its reader has gone, though there may be more keys', async () => {
    const path = await table()
    const { child, result } = cli.startWith('get', path, '3', '-')
    await once(child.stdout!, 'data')
    child.stdout!.destroy()
    child.stdin!.on('error', () => {})
    // It learns of it when it writes: what comes before the pipe is closed still goes in.
    const more = setInterval(() => child.stdin!.write('4\n'), 50)
    // Its standard output is destroyed: no result comes of it.
    result.catch(() => {})
    expect(await once(child, 'exit')).toEqual([0, null])
    clearInterval(more)
  })

  test('that waits for keys can be interrupted', async () => {
    const path = await table()
    const { child, result } = cli.startWith('get', path, '3', '-')
    child.stdin!.write('4\n')
    await once(child.stdout!, 'data')
    child.kill('SIGINT')
    expect(await result).toMatchObject({
      code: 130,
      stderr: expect.stringContaining('interrupted by SIGINT') as string,
    })
  })
})

describe('flashtable put', () => {
  test('puts a record, or with --if-absent only where the key has none', async () => {
    const path = await smallTable()
    const fields = ['id=-3', 'time=0x11', 'flags=2']
    expect(await cli.run('put', path, '9', ...fields)).toEqual({
      code: 0,
      stdout: '1 record put\n',
      stderr: '',
    })
    expect(await cli.json('put', path, '10', ...fields, '--if-absent')).toEqual({
      directory: path,
      key: '10',
      put: true,
    })
    expect(await cli.run('put', path, '9', ...fields, '--if-absent')).toMatchObject({
      code: 1,
      stdout: 'nothing was put: the key has a record\n',
    })
    const { stdout } = await cli.run('scan', path, '--gte', '9')
    expect(stdout).toBe('key\ttime\tflags\tid\n9\t17\t2\t-3\n10\t17\t2\t-3\n')
  })

  test('and delete of one record mend a wrong one', async () => {
    const path = await smallTable()
    const wrong = ['time=0', 'flags=1', 'id=0']
    expect((await cli.run('delete', path, '7', ...wrong, '--dry-run')).stdout).toContain('1 record would be')
    expect((await cli.run('delete', path, '7', ...wrong)).stdout).toBe('1 record deleted\n')
    expect((await cli.run('delete', path, '7', ...wrong)).stdout).toBe('0 records deleted\n')
    await cli.run('put', path, '7', 'time=5', 'flags=1', 'id=0')
    expect((await cli.run('get', path, '7')).stdout).toBe('time\tflags\tid\n2\t1\t-2\n5\t1\t0\n')
  })

  test('takes plain values, and sets that have none', async () => {
    const plain = freshPath()
    await (await FlashTable.open(plain, { keyEncoding: 'u8', valueEncoding: 'f64' })).close()
    expect((await cli.run('put', plain, '1', 'value=-0.5')).code).toBe(0)
    expect((await cli.run('delete', plain, '1', 'value=-0.5')).stdout).toBe('1 record deleted\n')
    const set = freshPath()
    await (await FlashTable.open(set, { keyEncoding: 'u8' })).close()
    expect((await cli.run('put', set, '3')).code).toBe(0)
    expect((await cli.run('put', set, '3', 'value=1')).stderr).toContain('set of keys')
    expect((await cli.run('get', set, '3')).stdout).toBe('key\n3\n')
  })

  test('refuses what is no record, and changes nothing', async () => {
    const path = await smallTable()
    const before = await imageOf(path)
    const wrong: [string[], string][] = [
      [['9'], 'time=... flags=... id=...'],
      [['9', 'time=1', 'flags=1'], 'id=...'],
      [['9', 'time=1', 'flags=1', 'id=1', 'name=x'], 'time, flags, id'],
      [['9', 'time=1', 'flags=1', 'id=1', 'id=2'], 'given twice'],
      [['9', 'time=70000', 'flags=1', 'id=1'], 'field "time"'],
      [['9', 'time', 'flags=1', 'id=1'], 'name=value'],
      [['x', 'time=1', 'flags=1', 'id=1'], 'u64'],
    ]
    for (const [args, says] of wrong) {
      const { code, stderr } = await cli.run('put', path, ...args)
      expect([code, stderr]).toEqual([2, expect.stringContaining(says)])
    }
    expect((await cli.run('delete', path, '7', 'time=0')).code).toBe(2)
    expect(await imageOf(path)).toEqual(before)
    expect((await cli.run('put', freshPath(), '9', 'time=1')).code).toBe(1)
  })
})
