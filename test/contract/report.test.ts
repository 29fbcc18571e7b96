/** `flashtable report`: what the page says of tables that are known, and how a real browser draws it. */
import { parseHTML } from 'linkedom'
import { copyFile, mkdir, readdir, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { bytes, fixed, FlashTable, struct } from '../../src/index.js'
import { makeReport, type Made } from '../../tools/cli/commands/report.js'
import { Plot } from '../../tools/cli/report/plot.js'
import { makeAllTypes } from '../support/all-types.js'
import { Chromium, CHROMIUM, type Shot } from '../support/chromium.js'
import { brightness, FAULTS } from '../support/page-faults.js'
import { ENCODINGS, imageOf, testCli } from './cli-tables.js'

const { cli, freshPath, smallTable } = testCli()
let plot: Plot
beforeAll(async () => {
  plot = await Plot.load()
})

async function make(path: string, verify = true): Promise<Made & { readonly text: string }> {
  const made = await makeReport(plot, path, { verify, signal: new AbortController().signal })
  const text = parseHTML(made.page).document.body.textContent.replaceAll(/\s+/g, ' ')
  return { ...made, text }
}

/** Fails if anything in the page could run or load something. */
function expectInert(page: string): void {
  const { document } = parseHTML(page)
  expect(page).not.toMatch(/<script|https?:|url\(|@import/i)
  const elements = [...document.querySelectorAll('*')]
  const names = new Set(elements.map(({ localName }) => localName))
  for (const name of ['script', 'img', 'link', 'iframe', 'object', 'embed', 'a', 'use', 'image', 'form'])
    expect(names).not.toContain(name)
  const attributes = elements.flatMap(element => [...element.attributes].map(({ name }) => name))
  expect(attributes.filter(name => /^on|href$|^src/.test(name))).toEqual([])
  const policy = document.querySelector('meta[http-equiv="Content-Security-Policy"]')!.getAttribute('content')
  expect(policy).toContain("default-src 'none'")
}

/** Makes a table once, for several tests, which do not change it. */
function once(make: () => Promise<string>): () => Promise<string> {
  let made: Promise<string> | undefined
  return () => (made ??= make())
}

/** Files of two levels, of overlapping ranges, and deletes that hide much. */
const manyFiles = once(async () => {
  const path = freshPath()
  const options = { ...ENCODINGS, fanout: 64, bufferBytes: 64 * 1024, walBytes: 64 * 1024 }
  const table = await FlashTable.open(path, options)
  for (let batch = 0; batch < 500; batch++) {
    const rows = 500
    const key = BigUint64Array.from({ length: rows }, (_, i) =>
      BigInt((batch % 20) * 1000 + ((i * i) % 5000)),
    )
    const time = new Uint16Array(rows).fill(batch)
    const [flags, id] = [new Uint16Array(rows), Int32Array.from(time.keys())]
    await table.putColumns({ key, time, flags, id })
  }
  await table.clear({ gte: 0n, lt: 12_000n })
  // Into a file: merges apply no entries of memtables.
  for (let i = 0; i < 40; i++) {
    const key = new BigUint64Array(500).fill(30_000n)
    const [time, flags, id] = [new Uint16Array(500), new Uint16Array(500), new Int32Array(500)]
    await table.putColumns({ key, time, flags, id })
  }
  await table.close()
  return path
})

/** 60,000 records under hashes, about 3 a key. */
const music = once(async () => {
  const path = freshPath()
  const table = await FlashTable.open(path, { ...ENCODINGS, bufferBytes: 256 * 1024 })
  for (let track = 0; track < 60; track++) {
    const rows = 1000
    const key = BigUint64Array.from({ length: rows }, (_, i) =>
      BigInt.asUintN(64, BigInt((track * 7919 + i * 31) % 20_000) * 0x9e3779b97f4a7c15n),
    )
    const time = Uint16Array.from({ length: rows }, (_, i) => i)
    await table.putColumns({ key, time, flags: new Uint16Array(rows), id: new Int32Array(rows).fill(track) })
  }
  await table.close()
  return path
})

const empty = once(async () => {
  const path = freshPath()
  await (await FlashTable.open(path, ENCODINGS)).close()
  return path
})

describe('a report', () => {
  test('of an empty table says that there is nothing to do', async () => {
    const { page, verdict, advice, isBroken, text } = await make(await empty())
    expect({ verdict, advice, isBroken }).toEqual({
      verdict: 'Nothing to do: the table is empty.',
      advice: [],
      isBroken: false,
    })
    expect(text).toContain('There is no bucket file yet')
    expectInert(page)
  })

  test('tells what was put and written, bits, keys, sizes and schema, and changes nothing', async () => {
    const path = await music()
    const before = await imageOf(path)
    const stats = await cli.json('stats', path)
    const { page, verdict, text } = await make(path)
    expect(verdict).toBe('Nothing to do. The table is healthy.')
    expect(text).toContain('60,000 records of 938 KiB were put')
    expect(text).toContain(`: ${(stats['writeAmplification'] as number).toFixed(2)} bytes for a byte put.`)
    expect(text).toMatch(/\d+ events of the event log, since 20\d\d-.* flush: full/)
    expect(text).toContain('A key has 3.00 records on average.')
    expect(text).toContain('All 20,000 keys and 60,000 records were counted.')
    expect(text).toContain('in a raw record 128')
    expect(text).toContain('key:u64,time:u16,flags:u16,id:i32')
    expect(text).toMatch(
      /It has read \d+ files with \d+ pages, \d+ frames of the log and 60,000 records: no problem/,
    )
    expectInert(page)
    expect(await imageOf(path)).toEqual(before)
  })

  test('has a text for each picture, and the same in words beside it', async () => {
    const { document } = parseHTML((await make(await music())).page)
    const figures = [...document.querySelectorAll('figure')]
    expect(figures).toHaveLength(4)
    for (const figure of figures) {
      for (const kind of ['.narrow', '.wide']) {
        const pictures = [...figure.querySelectorAll(`${kind} svg`)]
        const told = pictures.filter(picture => picture.getAttribute('aria-hidden') === null)
        expect(told).toHaveLength(1)
        expect(told[0]!.getAttribute('aria-label')).toMatch(/^(Bars|Curves|\d+ bucket files?)\b.*\d.*\.$/)
        expect(told[0]!.getAttribute('role')).toBe('img')
      }
      expect(figure.nextElementSibling!.textContent).toMatch(/\d/)
    }
  })

  test('shows latencies where the table has measured them', async () => {
    const path = freshPath()
    const table = await FlashTable.open(path, { keyEncoding: 'u32', latency: true })
    for (let key = 0; key < 100; key++) await table.put(key)
    await table.sync()
    await table.close()
    const { page, text } = await make(path)
    expect(text).toContain('How long it took')
    const { document } = parseHTML(page)
    const cells = [...document.querySelectorAll('table tr')].map(row =>
      [...row.querySelectorAll('th, td')].map(cell => cell.textContent?.trim()),
    )
    expect(cells.find(([first]) => first === 'puts')?.[1]).toBe('100')
    // Nothing was looked up.
    expect(cells.some(([first]) => first === 'lookups')).toBe(false)
    expectInert(page)
    expect((await make(await music())).text).not.toContain('How long it took')
  })

  test('of many files with deletes tells what compact would free, and where files overlap', async () => {
    const { page, verdict, advice, text } = await make(await manyFiles())
    expect(advice[0]!.title).toMatch(/^Compact: it would free about [3-6]\d % of the bucket files$/)
    expect(advice[0]!.command).toMatch(/^flashtable compact \//)
    expect(verdict).toMatch(/^The table is healthy, but something is worth doing\. Compact: /)
    expect(text).toMatch(/a key is in the range of \d+\.\d+ files on average, \d+ at the most/)
    expect(text).toMatch(/\d+ older files/)
    expectInert(page)
  })

  test('of hostile names, keys and metadata is only text', async () => {
    const hostile = `</title></svg>"><script src="//x">alert(1)</script>&amp;'\u202e`
    const parent = freshPath()
    await mkdir(parent)
    const path = join(parent, hostile.replaceAll('/', '\u2215'))
    const custom = {
      name: '"><img src=x onerror=alert(1)>',
      format: 'view',
      encode: (value: Uint8Array) => value,
      decode: (value: Uint8Array) => value,
    } as const
    const valueEncoding = struct({ $_script: 'u8', a: fixed(custom, 2) })
    const table = await FlashTable.open(path, { keyEncoding: fixed('utf8', 32), valueEncoding })
    await table.put('</svg><script>alert(1)</script>!', { $_script: 1, a: Uint8Array.of(1, 2) })
    await table.setMeta({ '<script>': '</pre><script>alert(1)</script>' })
    await table.compact()
    await table.close()
    const { page, text } = await make(path)
    expectInert(page)
    expect(text).toContain('</svg><script>alert(1)</script>')
    expect(text).toContain('custom("><img src=x onerror=alert(1)>,2)')
    expect(text).toContain('"<script>": "</pre><script>alert(1)</script>"')
    expect(page).not.toContain('\u202e')
  })

  test('is made of tables with keys of any type, of sets, and of tables that combine or replace', async () => {
    const custom = {
      name: 'own',
      format: 'view',
      encode: (value: Uint8Array) => value,
      decode: (value: Uint8Array) => value,
    } as const
    const keys = [
      ['u8', 7],
      ['u16', 7],
      ['u32', 7],
      [bytes(20), new Uint8Array(20).fill(171)],
      [fixed('json', 4), 'ab'],
      [fixed(custom, 3), Uint8Array.of(1, 2, 254)],
    ] as const
    for (const [keyEncoding, key] of keys) {
      const path = freshPath()
      const table = await FlashTable.open(path, { keyEncoding })
      await table.put(key as never)
      await table.compact()
      await table.close()
      const { text, verdict } = await make(path)
      expect(verdict).toBe('Nothing to do. The table is healthy.')
      const shown = key instanceof Uint8Array ? Buffer.from(key).toString('hex') : String(key)
      expect(text).toContain(`least key ${shown}`)
      expect(text).toContain(`that was seen, ${shown}, has 1 record`)
    }
    const all = freshPath()
    await makeAllTypes(all)
    expect((await make(all)).text).toContain('All 7 keys and 8 records were counted.')
    const combining = freshPath()
    const valueEncoding = struct({ n: 'u32' })
    const table = await FlashTable.open(combining, {
      keyEncoding: 'u32',
      valueEncoding,
      combine: { n: 'sum' },
    })
    for (let i = 0; i < 100; i++) await table.put(i % 10, { n: 1 })
    await table.close()
    expect((await make(combining)).text).toContain("are combined: { n: 'sum' }")
  })

  test('of a large table samples keys, and says so', async () => {
    const path = freshPath()
    async function* source() {
      for (let from = 0; from < 1_200_000; from += 100_000)
        yield { key: Uint32Array.from({ length: 100_000 }, (_, i) => (from + i) >> 1) }
    }
    await (await FlashTable.bulkLoad(path, { keyEncoding: 'u32', duplicates: 'keep' }, source())).close()
    const { text } = await make(path, false)
    expect(text).toContain('A key has 2.00 records on average.')
    expect(text).toMatch(/A sample: 99,\d{3} keys .* at 200 places, of about 1,200,000 records\./)
    expect(text).toContain('The files were not verified')
  })

  test('is made beside a program that writes the table', async () => {
    const path = freshPath()
    const table = await FlashTable.open(path, { ...ENCODINGS, bufferBytes: 64 * 1024 })
    const done = new AbortController()
    const writing = (async () => {
      for (let i = 0n; !done.signal.aborted; i++) await table.put(i, { time: 1, flags: 2, id: 3 })
    })()
    const { verdict, isBroken, text } = await make(path)
    done.abort()
    await writing
    await table.close()
    expect(isBroken).toBe(false)
    expect(verdict).not.toContain('Act now')
    expect(text).toContain('open in a program, or ended without a close')
  })
})

describe('a report of a damaged table', () => {
  async function damage(kind: 'page' | 'footer' | 'missing' | 'manifest'): Promise<string> {
    const path = await music()
    const copy = freshPath()
    await mkdir(copy)
    for (const name of await readdir(path)) await copyFile(join(path, name), join(copy, name))
    const bucket = join(
      copy,
      (await readdir(copy)).find(name => name.endsWith('.bucket'))!,
    )
    if (kind === 'missing') await rm(bucket)
    else if (kind === 'footer') await truncate(bucket, (await stat(bucket)).size - 4096)
    else {
      const file = kind === 'page' ? bucket : join(copy, 'MANIFEST')
      const content = await readFile(file)
      content[100]! ^= 1
      await writeFile(file, content)
    }
    return copy
  }

  test('finds a damaged page by verify, and says where', async () => {
    const path = await damage('page')
    const { verdict, isBroken, text, page } = await make(path)
    expect(isBroken).toBe(true)
    expect(verdict).toMatch(/^Act now\. Run flashtable repair: there is damage\./)
    expect(text).toMatch(/\d{6}\.bucket:0 \d{6}\.bucket is damaged at offset 0: expected checksum/)
    expect(text).toContain(`flashtable repair ${path} --into NEW`)
    expectInert(page)
  })

  test('tells what there is of a table that cannot be opened', async () => {
    for (const kind of ['footer', 'missing', 'manifest'] as const) {
      const path = await damage(kind)
      const { isBroken, text, advice, page } = await make(path)
      expect(isBroken).toBe(true)
      expect(advice[0]!.title).toBe('The table cannot be opened')
      expect(advice[0]!.command).toContain('flashtable repair')
      expect(text).toContain(
        kind === 'manifest' ? 'What is in the directory' : 'Files over the range of keys',
      )
      expectInert(page)
    }
  })

  test('of another version says what to do', async () => {
    const path = await damage('manifest')
    const file = join(path, 'MANIFEST')
    await writeFile(file, (await readFile(file, 'latin1')).replace('manifest 2 ', 'manifest 1 '), 'latin1')
    const { advice } = await make(path)
    expect(advice[0]).toMatchObject({ title: 'The table has the format of another version', urgency: 'act' })
  })
})

describe('flashtable report', () => {
  test('writes a file, says what to do, and replaces nothing without --force', async () => {
    const path = await smallTable()
    const file = `${freshPath()}.html`
    const { code, stdout, stderr } = await cli.run('report', path, '-o', file)
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    const size = (await stat(file)).size
    expect(stdout).toBe(
      `${file}: ${size.toLocaleString('en-US')} bytes\nNothing to do. The table is healthy.\n`,
    )
    const again = await cli.run('report', path, '-o', file)
    expect(again).toMatchObject({ code: 1, stdout: '' })
    expect(again.stderr).toContain('FLASHTABLE_EXISTS')
    const forced = await cli.json('report', path, '--no-verify', '--output', file, '--force')
    expect(forced).toMatchObject({ directory: path, file, verdict: 'Nothing to do. Nothing wrong was seen.' })
    expect(forced['advice']).toMatchObject([{ urgency: 'know', title: 'The files were not verified' }])
  })

  test('writes the page to standard output; damage is exit code 1, no table leaves no file', async () => {
    const path = await smallTable()
    const page = await cli.run('report', path, '-o', '-')
    expect(page).toMatchObject({ code: 0, stderr: '' })
    expect(page.stdout).toMatch(/^<!doctype html>[^]*<\/html>\s*$/)
    const content = await readFile(join(path, 'MANIFEST'))
    content[100]! ^= 1
    await writeFile(join(path, 'MANIFEST'), content)
    expect(await cli.run('report', path, '-o', '-')).toMatchObject({ code: 1, stderr: '' })
    const file = freshPath()
    const none = await cli.run('report', freshPath(), '-o', file)
    expect(none).toMatchObject({ code: 1, stdout: '' })
    expect(none.stderr).toContain('FLASHTABLE_NOT_FOUND')
    await expect(stat(file)).rejects.toThrow('ENOENT')
    expect((await cli.run('report', path, '-o', '-', '--json')).code).toBe(2)
    expect((await cli.run('report', path)).code).toBe(2)
  })
})

const withoutChromium = CHROMIUM === undefined ? ' (skipped: there is no Chromium)' : ''

describe.skipIf(CHROMIUM === undefined)(`in a browser${withoutChromium}`, () => {
  let browser: Chromium
  beforeAll(async () => {
    browser = await Chromium.start()
  })
  afterAll(() => browser.close())

  test.each([
    ['an empty table', empty, 1],
    ['a table like music', music, 5],
    ['many files with deletes', manyFiles, 5],
  ] as const)('the page of %s can be read, light and dark, narrow and wide', async (_, table, pictures) => {
    const file = `${freshPath()}.html`
    await writeFile(file, (await make(await table())).page)
    for (const width of [400, 1600]) {
      const shots: Shot[] = []
      for (const scheme of ['light', 'dark'] as const) {
        const shot = await browser.shoot(pathToFileURL(file).href, width, scheme, FAULTS)
        expect(shot.result).toMatchObject({ faults: [], pictures })
        expect(shot.contentWidth).toBeLessThanOrEqual(width)
        expect(shot.messages).toEqual([])
        // One colour alone would take a tenth of that.
        expect(shot.png.byteLength).toBeGreaterThan(30_000)
        shots.push(shot)
      }
      const [light, dark] = shots.map(({ background, result }) => [
        brightness(background),
        brightness((result as { ink: string }).ink),
      ])
      expect(light![0]! - light![1]!).toBeGreaterThan(180)
      expect(dark![1]! - dark![0]!).toBeGreaterThan(180)
    }
  })
})
