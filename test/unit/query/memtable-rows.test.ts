/** Many keys, of which some have records in memtables: the same answers as one by one. */
import { describe, expect, test } from 'vitest'
import { DELETE_KEY, OperationBuffer, PUT } from '../../../src/records/operations.js'
import type { TableParts } from '../../../src/table/table-parts.js'
import { Random } from '../../support/random.js'
import { newest } from '../../support/wanted.js'
import { closeParts } from '../table/close.js'
import { newDisk, openParts, OPTIONS, sealed } from '../table/parts.js'

const SEED = Number(process.env['FLASHTABLE_SEED'] ?? Math.floor(Math.random() * 1e6))
const KEYS = 60

/** Puts some records of some keys; a few keys are deleted, and a few values hidden, if it is asked for. */
async function life(parts: TableParts, random: Random, operations: number, deletes: boolean): Promise<void> {
  const { schema, writer } = parts
  const { committer } = writer!
  for (let i = 0; i < operations; i++) {
    const key = random.below(KEYS)
    if (deletes && random.chance(0.03))
      await committer.commitRow(DELETE_KEY, schema.encodeDeleteKey(key), false)
    else if (deletes && random.chance(0.02)) {
      const entry = { position: 0, lanes: [1], values: [random.below(8)] }
      await committer.commit({ operations: new OperationBuffer(schema.layout, 1), deletes: [entry] }, false)
    } else await committer.commitRow(PUT, schema.encodeRecord(key, random.below(8)), false)
  }
}

/** The values of each key as {@link TableReader.findMany} and `findSync` tell them, from old to new. */
async function answers(parts: TableParts, limit: number): Promise<[many: unknown[], single: unknown[]]> {
  const { schema, reader, state } = parts
  const view = state.view()
  view.version.retain()
  const keys = Uint32Array.from({ length: KEYS }, (_, key) => key)
  // Once more: then all pages are in the cache, and blocks answer.
  await reader.findMany(view, [keys], limit)
  const { rows, ends } = await reader.findMany(view, [keys], limit)
  const many = Array.from(keys, key => {
    const from = key === 0 ? 0 : ends[key - 1]!
    return Array.from({ length: ends[key]! - from }, (_, i) => [
      rows.lanes[0]![from + i],
      schema.decodeValue(rows.lanes, from + i),
    ])
  })
  const single = Array.from(keys, key =>
    reader.findSync(view, Uint32Array.of(key), newest(limit), found =>
      Array.from({ length: found.count }, (_, i) => [
        key,
        schema.decodeValue(found.lanes, found.count - 1 - i),
      ]),
    ),
  )
  await view.version.release()
  return [many, single]
}

describe(`many keys in memtables and files (seed ${SEED})`, () => {
  test.each([
    ['keep', false],
    ['keep', true],
    ['replace', false],
    ['replace', true],
  ])('have the records that each has alone: %s, deletes %s', async (duplicates, deletes) => {
    const random = new Random(SEED)
    const parts = await openParts(newDisk(), { ...OPTIONS, duplicates, fanout: 64 })
    for (let round = 0; round < 8; round++) {
      await life(parts, random, 100, deletes)
      if (round % 3 === 1) await sealed(parts)
      for (const limit of [1, Infinity]) {
        const [many, single] = await answers(parts, limit)
        expect(many).toEqual(single)
      }
    }
    await closeParts(parts)
  })

  test('that are in a memtable with thousands of records too', async () => {
    const parts = await openParts(newDisk(), { ...OPTIONS, bufferBytes: 2 ** 16 })
    const { schema, writer } = parts
    for (let value = 0; value < 3000; value++)
      await writer!.committer.commitRow(PUT, schema.encodeRecord(7, value), false)
    const [many, single] = await answers(parts, Infinity)
    expect(many).toEqual(single)
    expect(many[7]).toHaveLength(3000)
    await closeParts(parts)
  })
})
