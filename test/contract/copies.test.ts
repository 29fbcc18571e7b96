/** A copy is a table of its own: no file of it passes for one of its origin, or of another copy, nor the other way. */
import { copyFile, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { verifyTable } from '../../src/offline/verify.js'
import { readManifest, readTable } from '../support/independent-reader.js'
import {
  FINGERPRINT,
  SMALL,
  collect,
  fingerprintColumns,
  spreadKey,
  testTables,
  type FingerprintTable,
} from '../support/tables.js'

const tables = testTables()
const OPTIONS = { ...FINGERPRINT, ...SMALL }

/** No merges: the files stay. */
const FILES_STAY = { ...OPTIONS, fanout: 64 }

/** Lives on until there are files of its own; `shift`: with other numbers. */
async function goOn(directory: string, from: number, shift = false): Promise<void> {
  const table = await tables.open(directory, FILES_STAY)
  if (shift) await table.compact()
  for (let n = from; n < from + 2000; n += 250)
    await table.putColumns(fingerprintColumns(n, n + 250, spreadKey))
  await table.close()
}

/** A table with files and records in memory. */
async function filled(): Promise<FingerprintTable> {
  const table = await tables.fingerprints()
  for (let n = 0; n < 1000; n += 250) await table.putColumns(fingerprintColumns(n, n + 250, spreadKey))
  await table.compact()
  await table.putColumns(fingerprintColumns(1000, 1200, spreadKey))
  return table
}

async function copyOf(table: { checkpoint(directory: string): Promise<void> }): Promise<string> {
  const directory = tables.path()
  await table.checkpoint(directory)
  return directory
}

/** Names of bucket files, or of log segments, that count in `to`, and that `from` has too, with another content. */
async function namesakes(from: string, to: string, kind: 'bucket' | 'wal'): Promise<string[]> {
  const { files, log } = readManifest(to)
  const found: string[] = []
  for (const { number } of kind === 'bucket' ? files : log.closed) {
    const name = `${String(number).padStart(6, '0')}.${kind}`
    const theirs = await readFile(join(from, name)).catch(() => undefined)
    if (theirs !== undefined && !theirs.equals(await readFile(join(to, name)))) found.push(name)
  }
  return found
}

/** Copies each file of `from` over its namesake in `to`: it must be found. */
async function expectRefused(from: string, to: string, kind: 'bucket' | 'wal'): Promise<number> {
  const names = await namesakes(from, to, kind)
  for (const name of names) {
    const whole = await readFile(join(to, name))
    await copyFile(join(from, name), join(to, name))
    const { problems } = await verifyTable(to)
    expect(problems.length, name).toBeGreaterThan(0)
    const opening = tables.open(to, { ...OPTIONS, readOnly: true }).then(table => collect(table.keys()))
    await expect(opening, name).rejects.toMatchObject({ code: 'FLASHTABLE_CORRUPTION' })
    await writeFile(join(to, name), whole)
    expect((await verifyTable(to)).problems, name).toEqual([])
  }
  return names.length
}

describe('a file of one table in the place of a file of the other', () => {
  test('is found where a table and its checkpoint have gone on with the same numbers', async () => {
    const found = { bucket: 0, wal: 0 }
    // How far flushes have come at a close decides which files are left: other ones each time.
    for (let pair = 0; pair < 10 && (found.bucket < 5 || found.wal === 0); pair++) {
      for (const shift of [false, true]) {
        const table = await filled()
        const copy = await copyOf(table)
        await table.close()
        // Epochs agree too: each has its second life.
        await goOn(table.location, 10_000)
        await goOn(copy, 20_000, shift)
        for (const kind of ['bucket', 'wal'] as const) {
          found[kind] += await expectRefused(copy, table.location, kind)
          found[kind] += await expectRefused(table.location, copy, kind)
        }
      }
    }
    expect(found.bucket).toBeGreaterThan(4)
    expect(found.wal).toBeGreaterThan(0)
  })

  test('is found where two checkpoints were made of one state', async () => {
    const table = await filled()
    const found = { bucket: 0, wal: 0 }
    // How far flushes have come at the close decides which segments are left: their numbers may differ in a pair.
    for (let pair = 0; pair < 10 && (found.bucket === 0 || found.wal === 0); pair++) {
      const [one, other] = [await copyOf(table), await copyOf(table)]
      expect(await expectRefused(one, other, 'bucket')).toBe(1)
      await goOn(one, 40_000)
      await goOn(other, 50_000)
      for (const kind of ['bucket', 'wal'] as const) {
        found[kind] += await expectRefused(one, other, kind)
        found[kind] += await expectRefused(other, one, kind)
      }
    }
    expect(found.bucket).toBeGreaterThan(0)
    expect(found.wal).toBeGreaterThan(0)
  })

  test('is found where it is the manifest, and the files are those of the other', async () => {
    const table = await filled()
    const copy = await copyOf(table)
    await table.close()
    await goOn(table.location, 10_000)
    await goOn(copy, 20_000)
    for (const [from, to] of [
      [copy, table.location],
      [table.location, copy],
    ] as const) {
      const manifest = await readFile(join(to, 'MANIFEST'))
      await copyFile(join(from, 'MANIFEST'), join(to, 'MANIFEST'))
      await expect(tables.open(to, OPTIONS)).rejects.toMatchObject({ code: 'FLASHTABLE_CORRUPTION' })
      await writeFile(join(to, 'MANIFEST'), manifest)
    }
  })
})

describe('what a copy shares', () => {
  test('keeps the id of the table that wrote it, in a copy of the copy too, and is read by anyone', async () => {
    const table = await filled()
    const first = await copyOf(table)
    const opened = await tables.open(first, OPTIONS)
    await opened.putColumns(fingerprintColumns(5000, 5100, spreadKey))
    const second = await copyOf(opened)
    const expected = await collect(opened.entries())
    await opened.close()
    const ids = [table.location, first, second].map(directory => readManifest(directory).tableId)
    expect(new Set(ids).size).toBe(3)
    const writers = readManifest(second).files.map(file => file.tableId)
    expect(new Set(writers)).toEqual(new Set([ids[0], ids[1], undefined]))
    expect(readTable(second).map(({ key, fields }) => [key, fields])).toEqual(expected)
    const copy = await tables.open(second, OPTIONS)
    expect(await collect(copy.entries())).toEqual(expected)
    expect((await verifyTable(second)).problems).toEqual([])
    await copy.compact()
    expect(await collect(copy.entries())).toEqual(expected)
    await copy.close()
    expect(readManifest(second).files.map(file => file.tableId)).toEqual([undefined])
  })
})
