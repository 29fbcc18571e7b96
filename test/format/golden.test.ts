/**
 * Golden tables: what earlier releases have written is read for good, record by record, by the library and by the reader
 * that was written from docs/file-format.md alone. test/support/make-golden.ts has made them.
 */
import { cp, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { FlashTable } from '../../src/index.js'
import { MANIFEST_VERSION } from '../../src/manifest/manifest.js'
import { verifyTable } from '../../src/offline/verify.js'
import { GOLDEN_META, goldenText, type GoldenRecord } from '../support/golden-text.js'
import { readManifest, readTable } from '../support/independent-reader.js'

const GOLDEN = join(import.meta.dirname, '../fixtures/golden')
const RELEASES = await readdir(GOLDEN)
const TABLES = ['clean', 'unclean', 'combined'] as const

let directory = ''

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'flashtable-golden-'))
})

afterEach(() => rm(directory, { recursive: true }))

/** Copies a golden table, which must stay as it is; returns where to, and the records that it holds. */
async function copyOf(release: string, name: string): Promise<{ location: string; expected: string[] }> {
  const location = join(directory, name)
  await cp(join(GOLDEN, release, name), location, { recursive: true })
  await rm(join(location, 'expected.json'))
  const text = await readFile(join(GOLDEN, release, name, 'expected.json'), 'utf8')
  // One record a line, in the order in which they were put.
  const lines = text
    .split('\n')
    .slice(1, -2)
    .map(line => line.replace(/,$/, ''))
  return { location, expected: lines }
}

/** All records by an ordered scan. */
async function scanned(table: FlashTable): Promise<GoldenRecord[]> {
  const records: GoldenRecord[] = []
  for await (const [key, value] of table.entries()) records.push({ key, value } as GoldenRecord)
  return records
}

/** In key order, those of a key in the order of `lines`. */
function byKey(lines: readonly string[]): string[] {
  const keyOf = (line: string): bigint => BigInt((JSON.parse(line) as { key: string }).key.replace(/n$/, ''))
  return lines.toSorted((a, b) => (keyOf(a) < keyOf(b) ? -1 : keyOf(a) > keyOf(b) ? 1 : 0))
}

describe.each(RELEASES)('the golden tables of %s', release => {
  test.each(TABLES)(
    '%s: opens as it was created, and holds exactly the records that were put',
    async name => {
      const { location, expected } = await copyOf(release, name)
      const table = await FlashTable.open(location)
      const records = await scanned(table)
      expect(records.map(goldenText)).toEqual(byKey(expected))
      for (const { key } of records) {
        const ofKey = records.filter(record => goldenText(record.key) === goldenText(key))
        expect(await table.getAll(key)).toEqual(ofKey.map(record => record.value))
      }
      expect(table.meta).toEqual(GOLDEN_META)
      await table.close()
    },
  )

  test.each(TABLES)('%s: is the same after a second open, a compaction and a third open', async name => {
    const { location, expected } = await copyOf(release, name)
    const first = await FlashTable.open(location)
    await first.close()
    const second = await FlashTable.open(location)
    expect((await scanned(second)).map(goldenText)).toEqual(byKey(expected))
    await second.compact()
    await second.close()
    const third = await FlashTable.open(location)
    expect((await scanned(third)).map(goldenText)).toEqual(byKey(expected))
    expect((await third.stats()).records).toBe(expected.length)
    await third.close()
  })

  test.each(TABLES)('%s: is read without a change to it, and verified without a problem', async name => {
    const { location, expected } = await copyOf(release, name)
    const before = await contentOf(location)
    const table = await FlashTable.open(location, { readOnly: true })
    expect((await scanned(table)).map(goldenText)).toEqual(byKey(expected))
    await table.close()
    const { problems, tornAt } = await verifyTable(location)
    expect(problems).toEqual([])
    expect(tornAt === undefined).toBe(name !== 'unclean')
    expect(await contentOf(location)).toEqual(before)
  })

  test.each(TABLES)('%s: is read by a reader that was written from the document', async name => {
    const { location, expected } = await copyOf(release, name)
    const records = readTable(location).map(({ key, fields }) => ({ key, value: fields }))
    expect(records.map(textAsStored)).toEqual(byKey(expected))
    expect(readManifest(location).meta).toEqual(GOLDEN_META)
  })
})

test('what the library writes today is read by a reader that was written from the document', async () => {
  const { location } = await copyOf(RELEASES.at(-1)!, 'unclean')
  const table = await FlashTable.open(location, { bufferBytes: 1024 })
  for (let i = 0; i < 60; i++) {
    for (const value of await table.getAll(Uint8Array.of(0, 1, 0, 0, 1, i))) {
      await table.put(Uint8Array.of(7, 0, 0, 0, 0, i), value)
    }
  }
  const expected = (await scanned(table)).map(goldenText)
  await table.close()
  expect(readTable(location).map(({ key, fields }) => textAsStored({ key, value: fields }))).toEqual(expected)
})

test.each([MANIFEST_VERSION - 1, MANIFEST_VERSION + 1])(
  'a manifest of version %i is refused, and both versions are named',
  async other => {
    const { location } = await copyOf(RELEASES[0]!, 'clean')
    const path = join(location, 'MANIFEST')
    await writeFile(path, (await readFile(path, 'utf8')).replace(/ manifest \d+ /, ` manifest ${other} `))
    const opening = FlashTable.open(location)
    await expect(opening).rejects.toMatchObject({ code: 'FLASHTABLE_UNSUPPORTED_FORMAT' })
    await expect(opening).rejects.toThrow(
      new RegExp(`version ${other}; .* reads version ${MANIFEST_VERSION}`),
    )
  },
)

/** The document's reader gives the bytes of a `fixed` field as they are stored; the library, as hex digits. */
function textAsStored(record: GoldenRecord): string {
  const value = Object.entries(record.value).map(([name, field]) => {
    return [name, name === 'l' && field instanceof Uint8Array ? Buffer.from(field).toString('hex') : field]
  })
  return goldenText({ key: record.key, value: Object.fromEntries(value) as unknown })
}

async function contentOf(location: string): Promise<Record<string, string>> {
  const names = (await readdir(location)).sort()
  const contents = await Promise.all(names.map(name => readFile(join(location, name), 'base64')))
  return Object.fromEntries(names.map((name, i) => [name, contents[i]!]))
}
