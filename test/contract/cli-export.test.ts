/**
 * `flashtable export` and `import` as a user sees them: what goes out comes back with every bit, and what others write and
 * read is the same: Debian's numpy, and DuckDB.
 */
import { DuckDBInstance } from '@duckdb/node-api'
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import { mkdir, open, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { FlashTable, fixed, struct } from '../../src/index.js'
import { importFile, type Import } from '../../tools/cli/commands/import.js'
import { parsePairs } from '../../tools/cli/arguments.js'
import { commandLine } from '../../tools/cli/program.js'
import { parseSchema } from '../../tools/cli/schema.js'
import { readStats } from '../../tools/cli/table-stats.js'
import { Random } from '../support/random.js'
import { ALL_TYPES_SCHEMA, bitsOf, makeAllTypes } from '../support/all-types.js'
import { ENCODINGS, FINGERPRINT, testCli } from './cli-tables.js'

const { cli, freshPath, interrupted, smallTable, ...testing } = testCli()

const NUMPY = spawnSync('python3', ['-c', 'import numpy']).status === 0
const withoutNumpy = NUMPY ? '' : ' (skipped: python3 has no numpy)'

function python(script: string, ...args: string[]): string {
  const { stdout, stderr, status } = spawnSync('python3', ['-c', script, ...args], { encoding: 'utf8' })
  if (status !== 0) throw new Error(stderr)
  return stdout.trim()
}

async function duckdb(query: string): Promise<unknown[][]> {
  const instance = await DuckDBInstance.create(':memory:')
  const connection = await instance.connect()
  try {
    return (await connection.runAndReadAll(query)).getRowsJson()
  } finally {
    connection.closeSync()
    instance.closeSync()
  }
}

async function textFile(name: string, text: string): Promise<string> {
  const folder = freshPath()
  await mkdir(folder)
  await writeFile(join(folder, name), text)
  return join(folder, name)
}

/** What `import --json` tells, in this process: a start of the command takes half a second. */
async function importAs(
  file: string,
  directory: string,
  ...options: string[]
): Promise<Record<string, unknown>> {
  const valueOf = (name: string): string | undefined =>
    options.includes(name) ? options[options.indexOf(name) + 1] : undefined
  const [schema, map] = [valueOf('--schema'), valueOf('--map')]
  try {
    return await importFile({
      file,
      directory,
      format: valueOf('--format') as Import['format'],
      schema: schema === undefined ? undefined : parseSchema(schema),
      map: map === undefined ? undefined : parsePairs(map, 'key=hash'),
      skipBad: Number(valueOf('--skip-bad') ?? 0),
      hasHeader: !options.includes('--no-header'),
    }).then(result => ({ ...result }))
  } catch (error) {
    const { code, message } = error as Error & { code: string }
    return { error: { code, message } }
  }
}

/** The same, which rejects. */
async function importHere(file: string, directory: string, schema: string, options: Partial<Import> = {}) {
  return importFile({ file, directory, schema: parseSchema(schema), hasHeader: true, ...options })
}

describe('what goes out comes back with every bit', () => {
  const BINARY = ['npy', 'parquet', 'arrow', 'arrows']
  test.each([...BINARY, 'records', 'csv', 'jsonl'])('%s', async ending => {
    const [table, back] = [freshPath(), freshPath()]
    const file = `${freshPath()}.${ending}`
    const isText = ending === 'csv' || ending === 'jsonl'
    await makeAllTypes(table, isText)
    const format = ending === 'records' ? ['--format', 'records'] : []
    expect(await cli.json('export', table, file, ...format)).toMatchObject({ file, records: 8 })
    // The binary formats but one tell their types.
    const schema = BINARY.includes(ending) ? [] : ['--schema', ALL_TYPES_SCHEMA]
    const imported = await importAs(file, back, ...format, ...schema)
    expect(imported).toMatchObject({ records: 8, skipped: 0 })
    expect(await bitsOf(back)).toEqual(await bitsOf(table))
  })

  test.each([
    ['parquet', '--compress', 'gzip'],
    ['parquet', '--compress', 'none', '--encoding', 'delta'],
    ['jsonl', '--json-numbers'],
  ])('%s %s %s', async (ending, ...options) => {
    const [table, back] = [freshPath(), freshPath()]
    const file = `${freshPath()}.${ending}`
    await makeAllTypes(table, ending === 'jsonl')
    await cli.json('export', table, file, ...options)
    await importAs(file, back, '--schema', ALL_TYPES_SCHEMA)
    expect(await bitsOf(back)).toEqual(await bitsOf(table))
  })

  test('an empty table, in all formats', async () => {
    const table = freshPath()
    await (await FlashTable.open(table, ENCODINGS)).close()
    for (const ending of BINARY) {
      const file = `${freshPath()}.${ending}`
      expect(await cli.json('export', table, file)).toMatchObject({ records: 0 })
      expect(await importAs(file, freshPath())).toMatchObject({ records: 0 })
    }
  })
})

describe(`NumPy reads and writes the same${withoutNumpy}`, () => {
  test.runIf(NUMPY)('an exported array has the types, the values and the order of the table', async () => {
    const table = freshPath()
    await makeAllTypes(table)
    const file = `${freshPath()}.npy`
    await cli.json('export', table, file)
    const told = python(
      `import numpy, sys, hashlib
a = numpy.load(sys.argv[1], mmap_mode='r')
print(a.dtype.descr)
print(len(a), int(a['key'][0]), int(a['key'][-1]), int(a['h'].min()))
print(hashlib.sha256(a.tobytes()).hexdigest())
print({n: a[n].tobytes().hex() for n in a.dtype.names}['k'])`,
      file,
    ).split('\n')
    expect(told[0]).toContain("('key', '<u8'), ('a', '|u1'), ('b', '<u2')")
    expect(told[1]).toBe(`8 0 ${2n ** 64n - 1n} ${-(2n ** 63n)}`)
    const records = readFileSync(file)
    expect(told[2]).toBe(
      createHash('sha256')
        .update(records.subarray(-8 * 53))
        .digest('hex'),
    )
    expect(told[3]).toBe((await bitsOf(table))['k'])
  })

  test.runIf(NUMPY)('arrays of all kinds are imported', async () => {
    const folder = freshPath()
    await mkdir(folder)
    python(
      `import numpy as n, os, sys
os.chdir(sys.argv[1])
key = n.array([5, 2**64 - 1, 7], dtype='<u8')
n.save('plain', key)
n.save('signed', n.array([5, 2**62, 7]))
n.save('negative', n.array([5, -1]))
n.save('digests', n.arange(40, dtype='u1').reshape(2, 20))
n.save('texts', n.array([b'abc', b'd'], dtype='S4'))
n.save('matrix', n.array([[1, 10], [2, 20]], dtype='>u4'))
n.save('matrix-by-columns', n.asfortranarray(n.array([[1, 10], [2, 20]], dtype='u4')))
big = n.zeros(3, dtype=n.dtype([('hash', '>u8'), ('when', '<M8[s]'), ('ok', '?'), ('x', '<f4'), ('d', 'u1', (3,))], align=True))
big['hash'] = key; big['when'] = [1, 2, 3]; big['ok'] = [True, False, True]; big['x'] = [1.5, float('nan'), -0.0]
big['d'] = [[1, 2, 3], [4, 5, 6], [7, 8, 0]]
n.save('big', big)
n.save('objects', n.array([{}, 1]), allow_pickle=True)
n.save('halves', n.array([1.5], dtype='f2'))
with open('version2.npy', 'wb') as f: n.lib.format.write_array(f, key, version=(2, 0))`,
      folder,
    )
    const at = (name: string): string => join(folder, `${name}.npy`)
    const entriesOf = async (name: string, ...options: string[]): Promise<unknown[]> => {
      const path = freshPath()
      const { error } = await importAs(at(name), path, ...options)
      if (error !== undefined) return [error]
      const table = await FlashTable.open(path, { readOnly: true })
      const entries: unknown[] = []
      for await (const entry of table.entries()) entries.push(entry)
      await table.close()
      return entries
    }
    const keys = [5n, 7n, 2n ** 64n - 1n].map(key => [key, undefined])
    expect(await entriesOf('plain')).toEqual(keys)
    expect(await entriesOf('version2')).toEqual(keys)
    expect(await entriesOf('signed')).toEqual([
      [5n, undefined],
      [7n, undefined],
      [2n ** 62n, undefined],
    ])
    expect(await entriesOf('negative')).toMatchObject([{ message: /row 1, column key: "-1" does not fit/ }])
    expect(await entriesOf('digests')).toHaveLength(2)
    expect(await entriesOf('texts')).toEqual([
      [new Uint8Array(Buffer.from('abc\0')), undefined],
      [new Uint8Array(Buffer.from('d\0\0\0')), undefined],
    ])
    expect(await entriesOf('matrix', '--map', 'key=0,value=1')).toEqual([
      [1, 10],
      [2, 20],
    ])
    expect(await entriesOf('matrix-by-columns')).toMatchObject([{ message: /ascontiguousarray/ }])
    expect(await entriesOf('big', '--map', 'key=hash')).toEqual([
      [5n, { when: 1n, ok: 1, x: 1.5, d: Uint8Array.of(1, 2, 3) }],
      [7n, { when: 3n, ok: 1, x: -0, d: Uint8Array.of(7, 8, 0) }],
      [2n ** 64n - 1n, { when: 2n, ok: 0, x: NaN, d: Uint8Array.of(4, 5, 6) }],
    ])
    expect(await entriesOf('objects')).toMatchObject([{ code: 'WRONG_FILE', message: /O.*no counterpart/ }])
    expect(await entriesOf('halves')).toMatchObject([{ code: 'WRONG_FILE', message: /f2.*no counterpart/ }])
  })
})

describe('DuckDB reads and writes the same', () => {
  const SUMS = 'count(*), sum(key), sum(time), sum(flags), sum(id), max(key)'
  const TYPES = "{key: 'UBIGINT', time: 'USMALLINT', flags: 'USMALLINT', id: 'INTEGER'}"
  const EXPECTED = [['3', String(2n ** 64n + 6n), '3', '3', '-3', String(2n ** 64n - 1n)]]

  async function bigTable(): Promise<string> {
    const path = freshPath()
    const table = await FlashTable.open(path, ENCODINGS)
    await table.put(7n, { time: 0, flags: 1, id: 0 })
    await table.put(2n ** 64n - 1n, { time: 1, flags: 1, id: -1 })
    await table.put(0n, { time: 2, flags: 1, id: -2 })
    await table.close()
    return path
  }

  test('exported Parquet, CSV and JSON lines', async () => {
    const table = await bigTable()
    const [parquet, csv, jsonl] = ['parquet', 'csv', 'jsonl'].map(ending => `${freshPath()}.${ending}`)
    for (const file of [parquet!, csv!, jsonl!]) await cli.json('export', table, file)
    expect(await duckdb(`select ${SUMS} from '${parquet}'`)).toEqual(EXPECTED)
    expect(await duckdb(`select ${SUMS} from read_csv('${csv}', types = ${TYPES})`)).toEqual(EXPECTED)
    expect(await duckdb(`select ${SUMS} from read_json('${jsonl}', columns = ${TYPES})`)).toEqual(EXPECTED)
    const types = await duckdb(`describe select * from '${parquet}'`)
    expect(types.map(([name, type]) => [name, type])).toEqual([
      ['key', 'UBIGINT'],
      ['time', 'USMALLINT'],
      ['flags', 'USMALLINT'],
      ['id', 'INTEGER'],
    ])
    // The keys of a group are known, so that one key is found without reading them all.
    const [bounds] = await duckdb(
      `select stats_min_value, stats_max_value from parquet_metadata('${parquet}')`,
    )
    expect(bounds).toEqual(['0', String(2n ** 64n - 1n)])
  })

  test('Parquet of every type, as DuckDB has it', async () => {
    const table = freshPath()
    await makeAllTypes(table)
    const file = `${freshPath()}.parquet`
    await cli.json('export', table, file)
    const [row] = await duckdb(`select min(h), max(d), max(c), min(e), hex(max(k)) from '${file}'`)
    expect(row).toEqual([
      String(-(2n ** 63n)),
      String(2n ** 64n - 1n),
      4_294_967_295,
      -128,
      expect.any(String),
    ])
  })

  test('its own Parquet, CSV and JSON, with values that may be missing', async () => {
    const rows = `select * from (values (18446744073709551615::ubigint, 1::bigint, 'ab'), (5, 2, 'cd')) t(hash, time, tag)`
    const folder = freshPath()
    await mkdir(folder)
    const schema = ['--schema', 'key:u64,time:u16,tag:bytes(1)', '--map', 'key=hash']
    for (const name of ['a.parquet', 'b.csv', 'c.jsonl', 'd.parquet']) {
      const file = join(folder, name)
      const options =
        name === 'd.parquet' ? ' (compression zstd)' : name === 'c.jsonl' ? ' (format json)' : ''
      await duckdb(`copy (${rows}) to '${file}'${options}`)
      const path = freshPath()
      expect(await importAs(file, path, ...schema)).toMatchObject({ records: 2 })
      expect(await bitsOf(path)).toEqual({
        key: `0500000000000000${'f'.repeat(16)}`,
        time: '02000100',
        tag: 'cdab',
      })
    }
    const file = join(folder, 'missing.parquet')
    await duckdb(
      `copy (select * from (values (1::ubigint, 5), (2, null), (3, 70000)) t(key, n)) to '${file}'`,
    )
    const refused = await importAs(file, freshPath(), '--schema', 'key:u64,n:u16')
    expect(refused['error']).toMatchObject({
      code: 'WRONG_FILE',
      message: expect.stringMatching(/row 1, column n: no value; it is u16.*--skip-bad N/) as string,
    })
    const skipped = await importAs(file, freshPath(), '--schema', 'key:u64,n:u16', '--skip-bad', '2')
    expect(skipped).toMatchObject({ records: 1, skipped: 2 })
  })
})

describe('flashtable export', () => {
  test('takes a range, a filter, columns and a limit, and writes to standard output', async () => {
    const table = await smallTable()
    const { stdout } = await cli.run('export', table, '-', '--format', 'csv')
    expect(stdout).toBe('key,time,flags,id\n7,0,1,0\n7,2,1,-2\n8,1,1,-1\n')
    const some = ['--gte', '7', '--lt', '8', '--where', 'time>0', '--columns', 'id,key', '--format', 'jsonl']
    expect((await cli.run('export', table, '-', ...some)).stdout).toBe('{"id":-2,"key":"7"}\n')
    const last = ['--reverse', '--limit', '1', '--format', 'csv', '--columns', 'key']
    expect((await cli.run('export', table, '-', ...last)).stdout).toBe('key\n8\n')
    const npy = await cli.json('export', table, `${freshPath()}.npy`, '--where', 'time>0', '--limit', '1')
    expect(npy).toMatchObject({ records: 1 })
  })

  test('shows values of fixed encodings as text, and quotes what needs it', async () => {
    const path = freshPath()
    const options = { keyEncoding: 'u8', valueEncoding: struct({ name: fixed('utf8', 4), n: 'u8' }) } as const
    const table = await FlashTable.open(path, options)
    await table.put(1, { name: 'a"b,', n: 2 })
    await table.close()
    const { stdout } = await cli.run('export', path, '-', '--format', 'csv')
    expect(stdout).toBe('key,name,n\n1,"a""b,",2\n')
  })

  test('exports tables whose keys are objects, with the right number of records before them', async () => {
    const path = freshPath()
    const table = await FlashTable.open(path, { keyEncoding: fixed('json', 7), valueEncoding: 'u8' })
    for (const a of [1, 2, 3]) await table.put({ a }, a)
    await table.close()
    for (const options of [[], ['--where', 'value>1']]) {
      const file = `${freshPath()}.npy`
      const records = options.length === 0 ? 3 : 2
      expect(await cli.json('export', path, file, ...options)).toMatchObject({ records })
      expect((await readFile(file)).toString('latin1')).toContain(`'shape': (${records},)`)
    }
  })

  test.each([
    { args: ['x.txt'], says: 'the format of x.txt is not told by its ending' },
    { args: ['x.csv', '--columns', 'key,nothing'], says: 'there is no "nothing"; the table has key, time' },
    { args: ['x.csv', '--columns', 'key,key'], says: 'given twice' },
    { args: ['x.csv', '--compress', 'gzip'], says: '--compress and --encoding are for --format parquet' },
    { args: ['x.csv', '--json-numbers'], says: '--json-numbers is for --format jsonl' },
    { args: ['-', '--format', 'csv', '--json'], says: 'standard output has the records' },
  ])('refuses $args', async ({ args, says }) => {
    const { code, stderr } = await cli.run('export', await smallTable(), ...args)
    expect({ code, stderr }).toEqual({ code: 2, stderr: expect.stringContaining(says) as string })
    expect(existsSync('x.csv')).toBe(false)
  })

  test('does not write to a terminal what that cannot show', async () => {
    const { isTTY } = process.stdout
    process.stdout.isTTY = true
    try {
      for (const format of ['npy', 'parquet', 'arrow', 'arrow-stream', 'records']) {
        const exporting = commandLine().parseAsync(['export', await smallTable(), '-', '--format', format], {
          from: 'user',
        })
        await expect(exporting).rejects.toThrow('is not for a terminal')
      }
    } finally {
      process.stdout.isTTY = isTTY
    }
  })

  test('leaves a file alone that is there, unless it is forced', async () => {
    const [table, file] = [await smallTable(), `${freshPath()}.csv`]
    await writeFile(file, 'mine')
    expect((await cli.run('export', table, file)).code).toBe(1)
    expect(await readFile(file, 'utf8')).toBe('mine')
    expect((await cli.run('export', table, file, '--force')).code).toBe(0)
  })

  test('interrupted, it ends with 130 and leaves no file', async () => {
    const path = freshPath()
    const key = BigUint64Array.from({ length: 3_000_000 }, (_, row) => BigInt(row))
    const table = await FlashTable.bulkLoad(path, { keyEncoding: 'u64' }, [{ key }])
    await table.close()
    const folder = freshPath()
    await mkdir(folder)
    for (const name of ['x.jsonl', 'x.parquet']) {
      const file = join(folder, name)
      const { code, stderr } = await interrupted('SIGINT', file, 'export', path, file)
      expect({ code, stderr }).toMatchObject({
        code: 130,
        stderr: expect.stringContaining('INTERRUPTED') as string,
      })
      expect(await readdir(folder)).toEqual([])
    }
  })

  test('tells of a full disk, and of a pipe that is closed says nothing', async () => {
    const table = await smallTable()
    const full = await open('/dev/full', 'w')
    const child = cli.startInto(full.fd, 'export', table, '-', '--format', 'csv')
    const code = await new Promise(resolve => child.on('close', resolve))
    await full.close()
    expect(code).toBe(1)
  })
})

describe('flashtable import', () => {
  const FIELDS = 'key:u64,time:u16'
  const SCHEMA = ['--schema', FIELDS]

  test.each([
    [
      'a value that does not fit',
      'key,time\n1,2\n3,70000\n',
      /line 3, column time: "70000" does not fit; it is u16, an integer from 0 to 65535/,
    ],
    ['a value that is no number', 'key,time\n1,2\n3,x\n', /line 3, column time: "x" does not fit/],
    ['a value that is empty', 'key,time\n1,2\n,1\n', /line 3, column key: "" does not fit/],
    ['a fraction', 'key,time\n1,2.5\n', /line 2, column time: "2.5"/],
    [
      'a key that is too large',
      'key,time\n18446744073709551616,1\n',
      /line 2, column key: "18446744073709551616"/,
    ],
    ['a line with too few values', 'key,time\n1,2\n3\n', /line 3: 1 columns, expected 2/],
    [
      'a wrong value after one of several lines',
      'key,time,"no\nte"\n1,2,"a\nb\nc"\n1,x,d\n',
      /line 6, column time/,
    ],
    ['a quotation mark that never ends', 'key,time\n1,"2\n3,4\n', /line 2/],
    [
      'a column that is not there',
      'key,when\n1,2\n',
      /the field "time" has no column: the columns are key, when/,
    ],
    ['two columns of one name', 'key,time,key\n1,2,3\n', /two columns "key"/],
  ])('of CSV tells %s, and imports nothing', async (_, text, says) => {
    const path = freshPath()
    await expect(importHere(await textFile('x.csv', text), path, FIELDS)).rejects.toThrow(says)
    if (existsSync(path)) expect(await readStats(path)).toMatchObject({ records: 0 })
  })

  test.each([
    ['a value that does not fit', '{"key":1,"time":2}\n{"key":3,"time":-1}\n', /line 2, column time: "-1"/],
    ['a value that is missing', '{"key":1,"time":2}\n\n{"key":3}\n', /line 3, column time: no value/],
    ['a line that is no JSON', '{"key":1,"time":2}\n{"key":\n', /line 2: no JSON/],
    ['a line that is no object', '{"key":1,"time":2}\n[1,2]\n', /line 2: no JSON object/],
  ])('of JSON lines tells %s', async (_, text, says) => {
    const refused = { code: 'WRONG_FILE', message: expect.stringMatching(says) as string }
    await expect(importHere(await textFile('x.jsonl', text), freshPath(), FIELDS)).rejects.toMatchObject(
      refused,
    )
  })

  test('leaves out as many wrong rows as it may', async () => {
    const file = await textFile('x.csv', 'key,time\n1,2\nx,1\n3,4\n5,y\n')
    const path = freshPath()
    expect(await cli.json('import', file, path, ...SCHEMA, '--skip-bad', '1')).toHaveProperty('error')
    const result = await cli.json('import', file, path, ...SCHEMA, '--skip-bad', '2')
    expect(result).toMatchObject({
      records: 2,
      skipped: 2,
      firstSkipped: expect.stringContaining('line 3') as string,
    })
    expect((await cli.run('export', path, '-', '--format', 'csv')).stdout).toBe('key,time\n1,2\n3,4\n')
  })

  test('reads CSV as others write it: semicolons, tabs, CRLF, a byte order mark, quotes, no names', async () => {
    const expected = 'key,time\n1,2\n3,4\n'
    const cases: [string, string, ...string[]][] = [
      ['a.csv', 'key;time\n1;2\n3;4\n'],
      ['b.tsv', 'key\ttime\n1\t2\n3\t4'],
      ['c.csv', '\ufeffkey,time\r\n1,2\r\n3,4\r\n'],
      ['d.csv', '"key","time"\n"1","2"\n\n3,4\n'],
      ['e.csv', 'note,key,time\n"a, ""b""\nc",1,2\nd,3,4\n'],
      ['f.csv', '1,2\n3,4\n', '--no-header', '--map', 'key=1,time=2'],
      ['g.csv', 'a,b\n1,2\n3,4\n', '--map', 'key=a,time=b'],
      ['h.csv', 'key,time\n0x1,2\n 3 , 4 \n'],
    ]
    for (const [name, text, ...options] of cases) {
      const path = freshPath()
      await importAs(await textFile(name, text), path, ...SCHEMA, ...options)
      expect((await cli.run('export', path, '-', '--format', 'csv')).stdout, name).toBe(expected)
    }
  })

  test('reads long integers of JSON without rounding them', async () => {
    const text = `{"key":18446744073709551615,"s":"a: 12345678901234567890"}\n{"key": 9007199254740993,"s":""}\n`
    const path = freshPath()
    await importAs(await textFile('x.jsonl', text), path, '--schema', 'key:u64')
    const { stdout } = await cli.run('export', path, '-', '--format', 'csv')
    expect(stdout).toBe(`key\n9007199254740993\n${2n ** 64n - 1n}\n`)
  })

  test('adds to a table with its schema, and nothing if a row is wrong', async () => {
    const table = await smallTable()
    const columns = 'id,flags,time,key\n'
    const wrong = await textFile('x.csv', `${columns}1,1,1,9\n1,1,x,9\n`)
    expect((await cli.run('import', wrong, table, '--append')).code).toBe(1)
    expect(await cli.json('stats', table)).toMatchObject({ records: 3 })
    const right = await textFile('x.csv', `${columns}-5,1,1,9\n`)
    expect(await cli.json('import', right, table, '--append')).toMatchObject({ records: 1 })
    expect((await cli.run('get', table, '9')).stdout).toContain('-5')
  })

  test('reads standard input in all formats that have no end to be read first', async () => {
    const table = await smallTable()
    const expected = (await cli.run('export', table, '-', '--format', 'csv')).stdout
    for (const [format, ...options] of [
      ['csv', '--schema', FINGERPRINT],
      ['jsonl', '--schema', FINGERPRINT],
      ['npy'],
      ['arrow-stream'],
      ['records', '--format', 'records', '--schema', FINGERPRINT],
    ]) {
      const path = freshPath()
      const file = freshPath()
      await cli.run('export', table, file, '--format', format!)
      const result = await cli.runWith(await readFile(file), 'import', '-', path, ...options)
      expect(result).toMatchObject({ code: 0, stderr: '' })
      expect((await cli.run('export', path, '-', '--format', 'csv')).stdout, format).toBe(expected)
    }
  })

  test('interrupted while it waits for standard input, it ends', async () => {
    const { child, result } = cli.startWith('import', '-', freshPath(), '--format', 'csv', ...SCHEMA)
    // More than a pipe holds: when it is taken, the command waits for more.
    const rows = `key,time\n${'1,2\n'.repeat(300_000)}`
    await new Promise(resolve => child.stdin!.write(rows, resolve))
    child.kill('SIGINT')
    expect(await result).toMatchObject({
      code: 130,
      stderr: expect.stringContaining('INTERRUPTED') as string,
    })
  })

  test('makes tables that replace, or combine', async () => {
    const file = await textFile('x.csv', 'key,count\n1,2\n2,5\n1,40\n')
    const [replaced, combined] = [freshPath(), freshPath()]
    const schema = ['--schema', 'key:u64,count:u32']
    await cli.json('import', file, replaced, ...schema, '--replace')
    await cli.json('import', file, combined, ...schema, '--combine', 'count=sum')
    const csv = async (path: string): Promise<string> =>
      (await cli.run('export', path, '-', '--format', 'csv')).stdout
    expect(await csv(replaced)).toBe('key,count\n1,40\n2,5\n')
    expect(await csv(combined)).toBe('key,count\n1,42\n2,5\n')
  })

  test('reads records with an offset and big-endian numbers', async () => {
    const bytes = Buffer.alloc(3 + 24)
    bytes.writeBigUInt64BE(2n ** 64n - 2n, 3)
    bytes.writeUInt16BE(513, 11)
    bytes.writeBigUInt64BE(7n, 15)
    bytes.writeUInt16BE(1, 23)
    const file = await testing.fileOf(bytes)
    const path = freshPath()
    const schema = ['--format', 'records', '--schema', 'key:u64,time:u16,x:bytes(2)']
    expect(await cli.json('import', file, path, ...schema)).toHaveProperty('error')
    expect(await cli.json('import', file, path, ...schema, '--offset', '3', '--big-endian')).toMatchObject({
      records: 2,
    })
    const { stdout } = await cli.run('export', path, '-', '--format', 'csv')
    expect(stdout).toBe(`key,time,x\n7,1,0000\n${2n ** 64n - 2n},513,0000\n`)
  })

  test.each([
    {
      args: ['x.csv'],
      text: 'key,time\n1,2\n',
      says: 'the type of the column "key" is not told: give a schema',
    },
    {
      args: ['x.csv', ...SCHEMA, '--map', 'hash=key'],
      text: 'key,time\n1,2\n',
      says: 'map names the field "hash"',
    },
    {
      args: ['x.csv', ...SCHEMA, '--format', 'parquet'],
      text: 'key,time\n1,2\n',
      says: 'cannot be read as Parquet',
    },
    { args: ['x.csv', ...SCHEMA, '--format', 'npy'], text: 'key,time\n1,2\n', says: 'is no NumPy file' },
    {
      args: ['x.csv', ...SCHEMA, '--format', 'arrow'],
      text: 'key,time\n1,2\n',
      says: 'cannot be read as Arrow',
    },
    {
      args: ['x.csv', ...SCHEMA, '--offset', '3'],
      text: 'key,time\n1,2\n',
      says: '--offset and --big-endian are for',
    },
    { args: ['x.bin', ...SCHEMA], text: '\x01\x02\x03', says: 'say --format csv|jsonl' },
    { args: ['x.parquet', ...SCHEMA], text: 'PAR1\0\0\0\0\0\0PAR1', says: 'cannot be read as Parquet' },
    {
      args: ['x.csv', ...SCHEMA, '--append', '--replace'],
      text: '',
      says: '--replace and --combine are for a new table',
    },
  ])('refuses $args', async ({ args: [name, ...args], text, says }) => {
    const { code, stderr } = await cli.run('import', await textFile(name!, text), freshPath(), ...args)
    expect(stderr).toContain(says)
    expect(code).toBeGreaterThan(0)
  })

  test.each(['csv', 'jsonl', 'npy', 'arrow', 'records'] as const)(
    'does not take a Parquet file for %s',
    async format => {
      const file = await textFile('x.bin', `PAR1${'\x07'.repeat(508)}`)
      const { code, stderr } = await cli.run(
        'import',
        file,
        freshPath(),
        '--format',
        format,
        '--schema',
        'key:u8',
      )
      expect({ code, stderr }).toEqual({
        code: 1,
        stderr: expect.stringContaining('a Parquet file') as string,
      })
    },
  )

  test('every byte that a damaged file may have leads to an answer with a code', async () => {
    const table = freshPath()
    await makeAllTypes(table)
    for (const ending of ['npy', 'parquet', 'arrow', 'arrows']) {
      const file = `${freshPath()}.${ending}`
      await cli.json('export', table, file)
      const bytes = await readFile(file)
      // The mark at the end of a stream, of 8 bytes, need not be there.
      for (const cut of [bytes.length - (ending === 'arrows' ? 9 : 1), Math.floor(bytes.length / 2), 9, 4]) {
        const damaged = `${freshPath()}.${ending}`
        await writeFile(damaged, bytes.subarray(0, cut))
        const importing = importFile({ file: damaged, directory: freshPath() })
        await expect(importing, `${ending} of ${cut} bytes`).rejects.toMatchObject({ code: 'WRONG_FILE' })
      }
    }
  })

  test('changed bytes of npy and Parquet lead to an answer with a code, or are values', async () => {
    const table = freshPath()
    await makeAllTypes(table)
    const random = new Random(17)
    for (const ending of ['npy', 'parquet']) {
      const file = `${freshPath()}.${ending}`
      await cli.json('export', table, file)
      const bytes = await readFile(file)
      for (let change = 0; change < 40; change++) {
        const damaged = `${freshPath()}.${ending}`
        const copy = Buffer.from(bytes)
        copy[random.below(copy.length)] = random.below(256)
        await writeFile(damaged, copy)
        const error = await importFile({ file: damaged, directory: freshPath() }).then(
          () => undefined,
          (error: { code?: string }) => error.code ?? error,
        )
        expect([undefined, 'WRONG_FILE', 'FLASHTABLE_INVALID_OPTION']).toContain(error)
      }
    }
  })
})
