/** `flashtable inspect` as a user sees it: what it tells of tables that are known, damaged, or open in a program. */
import { cp, readFile, rename, rm, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { FlashTable } from '../../src/index.js'
import { ENCODINGS, imageOf, testCli } from './cli-tables.js'

const { cli, freshPath } = testCli()
const GOLDEN = join(import.meta.dirname, '../fixtures/golden/0.1')

interface Whole {
  readonly manifest: Record<string, unknown>
  readonly files: readonly {
    readonly name: string
    readonly records: number
    readonly bytes: number
    readonly dataPages: number
    readonly bitsPerRecord: Record<string, number>
  }[]
  readonly isExact: boolean
  readonly log: readonly { readonly name: string; readonly state: string; readonly frames: number }[]
  readonly logRecords: number
  readonly hiding: Record<string, unknown> & { readonly entries: readonly { readonly where: string }[] }
  readonly orphans: readonly string[]
  readonly problems: readonly { readonly file: string; readonly offset: number | null }[]
}

interface Page {
  readonly kind: string
  readonly head: {
    readonly rows: number
    readonly rowBits: number
    readonly columns: readonly { readonly bits: number }[]
  }
  readonly rows: readonly Row[]
  readonly problems: readonly { readonly offset: number | null }[]
}

interface Row {
  readonly row: number
  readonly kind: string
  readonly key: string
  readonly fields: Record<string, number> | null
}

interface Segment {
  readonly state: string
  readonly frameCount: number
  readonly frames: readonly Record<string, unknown>[]
  readonly end: { readonly offset: number; readonly why: string }
  readonly problems: readonly { readonly offset: number | null }[]
}

async function inspect<Result>(...args: string[]): Promise<Result> {
  return (await cli.json('inspect', ...args)) as Result
}

async function golden(name: string): Promise<string> {
  const path = freshPath()
  await cp(join(GOLDEN, name), path, { recursive: true })
  await rm(join(path, 'expected.json'))
  return path
}

/** 2000 records in one bucket file of several pages: record i has key i / 2, time i, flags 1 and id -i. */
async function packed(): Promise<string> {
  const path = freshPath()
  const table = await FlashTable.open(path, ENCODINGS)
  for (let i = 0; i < 2000; i++) void table.put(BigInt(i >> 1), { time: i, flags: 1, id: -i })
  await table.compact()
  await table.close()
  return path
}

async function flip(path: string, at: number): Promise<void> {
  const content = await readFile(path)
  content[at]! ^= 1
  await writeFile(path, content)
}

describe('flashtable inspect DIR', () => {
  test('counts what stats counts, says what hides, and changes nothing', async () => {
    const path = await golden('clean')
    const before = await imageOf(path)
    const whole = await inspect<Whole>(path)
    const stats = await cli.json('stats', path)
    const inFiles = whole.files.reduce((sum, { records }) => sum + records, 0)
    expect(inFiles + whole.logRecords).toBe(stats['records'])
    expect(whole.files.map(({ name, records, bytes }) => ({ name, records, bytes }))).toEqual(
      (stats['files'] as Whole['files']).map(({ name, records, bytes }) => ({ name, records, bytes })),
    )
    expect(whole).toMatchObject({ isExact: true, orphans: [], problems: [] })
    expect(whole.manifest).toMatchObject({ epoch: 3, clean: true, duplicates: 'keep', pageBytes: 4096 })
    expect(whole.manifest).toMatchObject({ metaBytes: 66, firstLogSequence: 852, nextSequence: 904 })
    expect(whole.log.map(({ state, frames }) => [state, frames])).toEqual([
      ['closed', 29],
      ['closed', 13],
      ['closed', 10],
    ])
    expect(whole.hiding).toMatchObject({ deleteKeys: 12, deleteRecords: 19, deleteWheres: 9, clears: 3 })
    expect(whole.hiding.entries.map(({ where }) => where)).toContain('time<=5999, flags=1')
    expect(whole.hiding.entries.map(({ where }) => where)).toContain('keys 78 to 86')
    const { code, stdout, stderr } = await cli.run('inspect', path)
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    expect(stdout).toContain('life        epoch 3, closed\n')
    expect(stdout).toMatch(/^000022\.bucket +2 +389 +16,384 +4 +0-587 +\d+$/m)
    expect(stdout).toMatch(/^000032\.wal +closed +8,192 +13 +881-893$/m)
    expect(stdout).toContain('exact: all data pages were read')
    const wide = stdout.split('\n').filter(line => line.length > 80 && !line.startsWith('table '))
    expect(wide).toEqual([])
    expect(await imageOf(path)).toEqual(before)
  })

  test('shows spares, orphans, a torn tail and a combining table, which are no problem', async () => {
    const unclean = await inspect<Whole>(await golden('unclean'))
    expect(unclean).toMatchObject({ orphans: ['000039.bucket'], problems: [], tornAt: { offset: 76 } })
    expect(unclean.log.map(({ state }) => state)).toEqual(['open', 'open'])
    const combined = await inspect<Whole>(await golden('combined'))
    expect(combined.log.map(({ state }) => state)).toEqual(['spare', 'closed'])
    expect(combined.manifest['duplicates']).toMatchObject({ a: 'sum', l: 'last' })
  })

  test('reads beside a writer', async () => {
    const path = await packed()
    // Its event log is written a second later.
    const table = await FlashTable.open(path, { ...ENCODINGS, eventLog: false })
    await table.put(7n, { time: 1, flags: 1, id: 1 }, { sync: true })
    await table.delWhere({ id: 5, time: { lt: 9 } })
    await table.clear({ gte: 5n, lt: 9n })
    await table.sync()
    const before = await imageOf(path)
    const whole = await inspect<Whole>(path)
    expect(whole).toMatchObject({ manifest: { clean: false }, logRecords: 1, problems: [] })
    expect(whole.hiding).toMatchObject({ deleteWheres: 2, clears: 1 })
    expect(whole.hiding.entries.map(({ where }) => where)).toEqual(['keys 5 to 8', 'time<=8, id=5'])
    const open = whole.log.find(({ state }) => state === 'open')!
    const segment = await inspect<Segment>(path, open.name)
    expect(segment.frames.map(({ what }) => what)).toEqual(['rows', 'delete where', 'clear'])
    expect(segment).toMatchObject({ state: 'open', problems: [] })
    expect(await imageOf(path)).toEqual(before)
    await table.close()
  })

  test('tells what is wrong with a table, and shows the rest', async () => {
    const path = await golden('clean')
    await flip(join(path, '000022.bucket'), 100)
    await truncate(join(path, '000029.bucket'), 8192)
    await rm(join(path, '000031.bucket'))
    await flip(join(path, '000032.wal'), 40)
    const whole = await inspect<Whole>(path)
    const verified = await cli.json('verify', path)
    const place = ({ file, offset }: { file: string; offset: number | null }): string => `${file}:${offset}`
    expect(new Set(whole.problems.map(place))).toEqual(
      new Set((verified['problems'] as Whole['problems']).map(place)),
    )
    expect(whole.files.map(({ records }) => records)).toEqual([389, 153, 51])
    const { code, stdout } = await cli.run('inspect', path)
    expect(code).toBe(1)
    expect(stdout).toContain('000022.bucket:0: ')
    await writeFile(join(path, 'a\u001b[2Jb'), '')
    await flip(join(path, 'MANIFEST'), 300)
    const lost = await cli.run('inspect', path)
    expect(lost).toMatchObject({ code: 1, stderr: '' })
    expect(lost.stdout).toMatch(/^000022\.bucket +16,384$/m)
    expect(lost.stdout).toContain('"a\\u001b[2Jb"')
    expect(lost.stdout).toMatch(/MANIFEST:\d+: .*checksum/)
    await rename(join(path, 'MANIFEST'), join(path, 'MANIFEST.away'))
    expect((await cli.run('inspect', path)).code).toBe(1)
  })

  test('refuses names that are no files of the table, and options that do not fit, with 2', async () => {
    const path = await golden('clean')
    const wrong: [string[], string][] = [
      [['../x'], '000022.bucket 000029.bucket 000030.wal'],
      [['MANIFEST'], '000022.bucket'],
      [['000099.bucket'], '000022.bucket'],
      [['0000022.bucket'], '000022.bucket'],
      [['a\u001b[2J'], '"a\\u001b[2J"'],
      [['000022.bucket', '--page', '4'], 'the pages 0 to 3'],
      [['000022.bucket', '--page', '-1'], 'whole number'],
      [['000030.wal', '--page', '1'], '--page is for a bucket file'],
      [['000022.bucket', '--limit', '1'], 'need --page'],
      [['--page', '1'], 'for a NAME'],
    ]
    for (const [args, says] of wrong) {
      const { code, stdout, stderr } = await cli.run('inspect', path, ...args)
      expect([code, stdout, stderr]).toEqual([2, '', expect.stringContaining(says)])
    }
    expect((await cli.run('inspect', freshPath())).stderr).toContain('FLASHTABLE_NOT_FOUND')
  })
})

describe('flashtable inspect DIR FILE.bucket', () => {
  test('shows the pages of a file, and their rows are what a scan gives', async () => {
    const path = await packed()
    const [file] = (await inspect<Whole>(path)).files
    const name = file!.name
    const bucket = await inspect<Record<string, unknown>>(path, name)
    expect(bucket).toMatchObject({
      footer: { records: 2000, distinctKeys: 1000, firstKey: '0', lastKey: '999', deleteKeys: 0 },
      problems: [],
      bitsPerRecord: file!.bitsPerRecord,
    })
    const sections = bucket['sections'] as { kind: string; page: number; pages: number }[]
    expect(sections.map(({ kind }) => kind)).toEqual(['data', 'filter', 'fences', 'footer'])
    const [data] = sections
    expect(data).toMatchObject({ page: 0, pages: file!.dataPages })
    expect(data!.pages).toBeGreaterThan(1)
    const widths = bucket['widths'] as { name: string; widths: { bits: number; pages: number }[] }[]
    expect(widths.map(({ name }) => name)).toEqual(['key', 'time', 'flags', 'id', 'kinds'])
    for (const { widths: each } of widths)
      expect(each.reduce((sum, { pages }) => sum + pages, 0)).toBe(data!.pages)
    expect(widths[2]!.widths).toEqual([{ bits: 0, pages: data!.pages }])
    const rows: Row[] = []
    for (let page = 0; page < data!.pages; page++) {
      const { kind, head, rows: more } = await inspect<Page>(path, name, '--page', String(page))
      expect([kind, head.rows]).toEqual(['data', more.length])
      expect(head.columns.reduce((sum, { bits }) => sum + bits, 0)).toBe(head.rowBits)
      rows.push(...more)
    }
    const { records } = await cli.json('scan', path)
    expect(rows.map(({ key, fields }) => ({ key, ...fields }))).toEqual(records)
    const fullest = bucket['fullest'] as { page: number; records: number }[]
    const emptiest = bucket['emptiest'] as { page: number; records: number }[]
    expect(fullest[0]!.records).toBeGreaterThanOrEqual(emptiest[0]!.records)
    const some = await cli.run('inspect', path, name, '--page', '0', '--offset', '3', '--limit', '2')
    expect(some.stdout).toMatch(/^ +3 +put +1 +3 +1 +-3\n +4 +put +2 +4 +1 +-4$/m)
    expect(some.stdout).toContain('rows shown: 3 to 4 of ')
    const text = (await cli.run('inspect', path, name)).stdout
    expect(text).toMatch(/^filter +\d+\.\d+ bits a key, 7 probes, \d+ lines$/m)
    expect(text).toMatch(/^fullest pages: +0 \([\d,]+\), 1 /m)
    const footer = await inspect<Page>(path, name, '--page', String(sections.at(-1)!.page))
    expect(footer).toMatchObject({ kind: 'footer', footer: { records: 2000 }, rows: [] })
  })

  test('shows deletes as what they are, and a file that the manifest does not name', async () => {
    const page = await inspect<Page>(await golden('clean'), '000031.bucket', '--page', '0')
    const of = (kind: string): Row[] => page.rows.filter(row => row.kind === kind)
    expect(of('put')).toHaveLength(51)
    expect(of('del').length).toBeGreaterThan(0)
    expect(of('delRecord').length).toBeGreaterThan(0)
    expect(of('del').every(({ fields }) => fields === null)).toBe(true)
    expect(of('delRecord').every(({ fields }) => typeof fields!['time'] === 'number')).toBe(true)
    const orphan = await inspect(await golden('unclean'), '000039.bucket')
    expect(orphan).toMatchObject({ level: null, footer: { records: 16 }, problems: [] })
  })

  test('of a damaged file tells each damaged page, shows the others, and answers 1', async () => {
    const path = await packed()
    const { name, dataPages } = (await inspect<Whole>(path)).files[0]!
    await flip(join(path, name), 100)
    const first = await cli.run('inspect', path, name)
    expect(first.code).toBe(1)
    expect(first.stdout).toContain(`${name}:0: `)
    const { bytes } = (await inspect<Whole>(path)).files[0]!
    await flip(join(path, name), bytes - 4000)
    const bucket = await inspect<Record<string, unknown>>(path, name)
    expect(bucket).toMatchObject({ footer: null, problems: [{ offset: bytes - 4096 }, { offset: 0 }] })
    expect(bucket['sections']).toMatchObject([{ kind: 'data', page: 1, pages: dataPages - 1 }, {}, {}])
    const page = await cli.run('inspect', path, name, '--page', '0')
    expect(page.code).toBe(1)
    expect(page.stdout).toMatch(/checksum/)
    expect((await inspect<Page>(path, name, '--page', '1')).rows.length).toBeGreaterThan(100)
  })
})

describe('flashtable inspect DIR FILE.wal', () => {
  test('shows frames, and where they end and why', async () => {
    const path = await golden('clean')
    const segment = await inspect<Segment>(path, '000032.wal', '--offset', '7', '--limit', '2')
    expect(segment).toMatchObject({ state: 'closed', frameCount: 13, problems: [] })
    expect(segment.end).toEqual({ offset: 444, why: 'the end that the manifest names' })
    expect(segment.frames).toMatchObject([
      { offset: 224, bytes: 56, firstSequence: 888, what: 'delete where', encoding: 'raw' },
      {
        offset: 280,
        bytes: 32,
        firstSequence: 889,
        lastSequence: 889,
        what: 'rows',
        puts: 1,
        encoding: 'small',
      },
    ])
    const { stdout } = await cli.run('inspect', path, '000032.wal', '--limit', '1')
    expect(stdout).toContain('frames shown: 0 to 0 of 13')
    const unclean = await golden('unclean')
    expect((await inspect<Segment>(unclean, '000038.wal')).end.why).toContain('torn at 76')
    const spare = await inspect<Segment>(await golden('combined'), '000032.wal')
    expect(spare).toMatchObject({ state: 'spare', frameCount: 17, end: { offset: 1292 } })
  })

  test('tells damage within synced frames, and which frames no longer follow', async () => {
    const path = await golden('clean')
    await flip(join(path, '000032.wal'), 40)
    const { stdout, code } = await cli.run('inspect', path, '000032.wal')
    expect(code).toBe(1)
    expect(stdout).toMatch(/000032\.wal:32: .*882/)
    expect(stdout).toContain('out of sequence')
    await rm(join(path, '000032.wal'))
    const missing = await inspect<Segment>(path, '000032.wal')
    expect(missing).toMatchObject({ frameCount: 0, end: { why: 'there is no file' } })
    expect(missing.problems.length).toBe(1)
  })
})
