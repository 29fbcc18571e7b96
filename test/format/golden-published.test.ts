/**
 * Golden published tables: what earlier releases have published is restored for good, version by version, and read by the
 * reader that was written from docs/remote-format.md alone. test/support/make-golden.ts has made them.
 */
import { cp, mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { codeOf } from '../../src/base/errors.js'
import { directoryStore, FlashTable, publishedTable, verifyPublished } from '../../src/index.js'
import { GOLDEN_META, goldenText, type GoldenRecord } from '../support/golden-text.js'
import { readPublished, readVersion } from '../support/independent-reader.js'
import { SimulatedStore } from '../support/simulated-store.js'

const GOLDEN = join(import.meta.dirname, '../fixtures/golden')
const RELEASES = await readdir(GOLDEN)
const VERSIONS = [1, 2, 3, 4]

let directory = ''

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'flashtable-golden-'))
})

afterEach(() => rm(directory, { recursive: true }))

/** A copy of the store, which must stay as it is. */
async function copyOf(release: string): Promise<string> {
  const store = join(directory, 'store')
  await cp(join(GOLDEN, release, 'published', 'store'), store, { recursive: true })
  return store
}

/** One record a line, in the order in which they were put; here in key order, those of a key as they were. */
async function expectedOf(release: string, version: number): Promise<string[]> {
  const text = await readFile(join(GOLDEN, release, 'published', `expected-${version}.json`), 'utf8')
  const lines = text
    .split('\n')
    .slice(1, -2)
    .map(line => line.replace(/,$/, ''))
  const keyOf = (line: string): bigint => BigInt((JSON.parse(line) as { key: string }).key.replace(/n$/, ''))
  return lines.toSorted((a, b) => (keyOf(a) < keyOf(b) ? -1 : keyOf(a) > keyOf(b) ? 1 : 0))
}

async function scanned(table: FlashTable): Promise<string[]> {
  const records: string[] = []
  for await (const [key, value] of table.entries()) records.push(goldenText({ key, value } as GoldenRecord))
  return records
}

describe.each(RELEASES)('the golden published table of %s', release => {
  test.each(VERSIONS)('version %i: is restored, and holds exactly what was put by then', async version => {
    const store = directoryStore(await copyOf(release))
    await FlashTable.restore(store, join(directory, 'restored'), { version, verify: true })
    const table = await FlashTable.open(join(directory, 'restored'))
    expect(await scanned(table)).toEqual(await expectedOf(release, version))
    expect(table.meta).toEqual(GOLDEN_META)
    await table.close()
  })

  test.each(VERSIONS)('version %i: is read by a reader that was written from the document', async version => {
    const { records, meta } = readVersion(await copyOf(release), version)
    const texts = records.map(({ key, fields }) => goldenText({ key, value: fields }))
    expect(texts).toEqual(await expectedOf(release, version))
    expect(meta).toEqual(GOLDEN_META)
  })

  test('is whole, has its name, and is gone on with', async () => {
    const path = await copyOf(release)
    const store = directoryStore(path)
    expect((await verifyPublished(store)).problems).toEqual([])
    const { versions, epoch } = await publishedTable(store)
    expect(versions.map(({ version }) => version)).toEqual(VERSIONS)
    expect(versions[1]!.names).toEqual([{ name: 'kept', expires: new Date('2100-01-01') }])
    expect(readPublished(path).names).toMatchObject([{ name: 'kept', version: 2 }])
    await FlashTable.restore(store, join(directory, 'restored'))
    const table = await FlashTable.open(join(directory, 'restored'))
    await table.setMeta({ goneOn: true })
    expect(await table.publish(store, { takeOver: true })).toMatchObject({ version: 5, uploadedFiles: 0 })
    expect((await publishedTable(store)).epoch).toBe(epoch + 1)
    expect(readVersion(path, 5).meta).toEqual({ goneOn: true })
    expect(readVersion(path, 5).records).toEqual(readVersion(path, 4).records)
    await table.close()
  })

  test('with any byte of its manifest changed it is refused, and nothing is published over it', async () => {
    const path = await copyOf(release)
    const bytes = await readFile(join(path, 'MANIFEST.5', 'content'))
    const store = new SimulatedStore()
    const put = (content: Uint8Array): unknown =>
      store.stored.pointers.set('MANIFEST', { bytes: content, version: 'v' })
    put(bytes)
    const whole = await publishedTable(store)
    expect(whole.versions).toHaveLength(4)
    for (let at = 0; at < bytes.byteLength; at++) {
      const flipped = Uint8Array.from(bytes)
      flipped[at]! ^= 1 << (at % 8)
      put(flipped)
      const error: unknown = await publishedTable(store).catch((error: unknown) => error)
      expect(codeOf(error), `byte ${at}: ${String(error)}`).toMatch(
        /^FLASHTABLE_(CORRUPTION|UNSUPPORTED_FORMAT)$/,
      )
    }
    await FlashTable.restore(directoryStore(path), join(directory, 'restored'))
    const table = await FlashTable.open(join(directory, 'restored'))
    await expect(table.publish(store, { takeOver: true })).rejects.toMatchObject({
      code: 'FLASHTABLE_CORRUPTION',
      message: expect.stringMatching(/MANIFEST is damaged/) as string,
    })
    expect(store.counts['swap'] ?? 0).toBe(0)
    await table.close()
  })
})
