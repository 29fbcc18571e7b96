/** Which files are dropped whole: never one whose deletes an older file needs. */
import { describe, expect, test } from 'vitest'
import { hiddenFiles, type BoundedFile } from '../../../src/compaction/hidden-files.js'
import type { DeleteWhere } from '../../../src/records/operations.js'
import { recordLayout } from '../../../src/records/record-layout.js'

const layout = recordLayout([4], [4])

interface Given {
  readonly name: string
  readonly times?: readonly [least: number, greatest: number]
  readonly keys?: readonly [first: number, last: number]
  readonly deleteKeys?: number
  readonly deleteRecords?: number
  readonly deletes?: readonly DeleteWhere[]
}

/** Files with 100 sequence numbers each: 0 to 99, 100 to 199, ... */
function files(...given: readonly Given[]): (BoundedFile & { readonly name: string })[] {
  return given.map(({ name, times, keys = [0, 99], deleteKeys = 0, deleteRecords = 0, deletes = [] }, i) => ({
    name,
    entry: { endSequence: 100 * (i + 1) },
    footer: {
      records: times === undefined ? 0 : 10,
      dataPages: times === undefined && deleteKeys + deleteRecords === 0 ? 0 : 1,
      firstKey: [keys[0]],
      lastKey: [keys[1]],
      deleteKeys,
      deleteRecords,
      minValues: [times?.[0] ?? 0xffff_ffff],
      maxValues: [times?.[1] ?? 0],
    },
    deletes,
  }))
}

const before = (time: number, sequence = 1000): DeleteWhere => ({
  sequence,
  lanes: [],
  values: [],
  ranges: [{ lane: 1, lower: [0], upper: [time - 1] }],
})

const clear = (lower: number, upper: number, sequence = 1000): DeleteWhere => ({
  sequence,
  lanes: [],
  values: [],
  ranges: [{ lane: 0, lower: [lower], upper: [upper] }],
})

const dropped = (
  all: readonly (BoundedFile & { readonly name: string })[],
  deletes: readonly DeleteWhere[],
  replace = false,
) =>
  hiddenFiles(all, [...all.flatMap(file => file.deletes), ...deletes], layout, replace).map(
    ({ name }) => name,
  )

describe('files that are dropped', () => {
  const old: Given = { name: 'old', times: [0, 9] }
  const young: Given = { name: 'young', times: [10, 19] }

  test('are those with no record outside of an entry', () => {
    expect(dropped(files(old, young), [before(10)])).toEqual(['old'])
    expect(dropped(files(old, young), [before(9)])).toEqual([])
    expect(dropped(files(old, young), [before(20)])).toEqual(['old', 'young'])
    expect(dropped(files(young, old), [before(10)])).toEqual(['old'])
    expect(dropped(files(old, young), [])).toEqual([])
  })

  test('are older than the entry', () => {
    expect(dropped(files(old), [before(10, 100)])).toEqual(['old'])
    expect(dropped(files(old), [before(10, 99)])).toEqual([])
    expect(dropped(files(young, { ...old, deletes: [before(10, 150)] }), [])).toEqual([])
  })

  test.each<[string, Partial<Given>]>([
    ['deletes of keys', { deleteKeys: 1 }],
    ['deletes of records', { deleteRecords: 1 }],
    ['entries that may match', { deletes: [before(15, 150)] }],
  ])('have no %s that an older file needs', (_, deletes) => {
    expect(dropped(files(young, { ...old, ...deletes }), [before(10)])).toEqual([])
    expect(dropped(files({ ...old, ...deletes }, young), [before(10)])).toEqual(['old'])
    // With the older file they have nothing to do any more.
    expect(dropped(files(old, { ...old, name: 'older', ...deletes }), [before(10)])).toEqual(['old', 'older'])
  })

  test('may have entries that match nothing older', () => {
    expect(dropped(files(young, { ...old, deletes: [before(10, 150)] }), [before(10)])).toEqual(['old'])
  })

  test("with duplicates: 'replace' have nothing older", () => {
    expect(dropped(files(young, old), [before(10)], true)).toEqual([])
    expect(dropped(files(old, young), [before(10)], true)).toEqual(['old'])
    expect(dropped(files(old, { ...old, name: 'next' }, young), [before(10)], true)).toEqual(['old', 'next'])
  })

  test('may have no records, where their deletes have nothing to do', () => {
    const bare: Given = { name: 'bare', deletes: [before(10, 150)] }
    expect(dropped(files(young, bare), [])).toEqual(['bare'])
    expect(dropped(files(old, bare), [])).toEqual(['old', 'bare'])
    expect(dropped(files({ ...old, times: [5, 15] }, bare), [])).toEqual([])
    expect(dropped(files(young, { name: 'bare', deleteKeys: 1 }), [])).toEqual([])
  })
})

describe('files whose keys were cleared', () => {
  const low: Given = { name: 'low', times: [0, 9], keys: [10, 19] }
  const high: Given = { name: 'high', times: [0, 9], keys: [20, 29] }

  test('are dropped if no key is outside of the range', () => {
    expect(dropped(files(low, high), [clear(10, 19)])).toEqual(['low'])
    expect(dropped(files(low, high), [clear(11, 19)])).toEqual([])
    expect(dropped(files(low, high), [clear(10, 18)])).toEqual([])
    expect(dropped(files(low, high), [clear(0, 99)])).toEqual(['low', 'high'])
  })

  test('are dropped if several ranges hold their keys together', () => {
    expect(dropped(files(low), [clear(10, 14), clear(15, 19)])).toEqual(['low'])
    expect(dropped(files(low), [clear(15, 19), clear(10, 14, 1001)])).toEqual(['low'])
    expect(dropped(files(low), [clear(10, 14), clear(16, 19)])).toEqual([])
  })

  test('are older than the clear', () => {
    expect(dropped(files(low), [clear(10, 19, 100)])).toEqual(['low'])
    expect(dropped(files(low), [clear(10, 19, 99)])).toEqual([])
    expect(dropped(files(low), [clear(10, 14, 99), clear(15, 19)])).toEqual([])
  })

  test('may have deletes, and may have replaced older records: these were cleared, too', () => {
    const deletes = { deleteKeys: 1, deleteRecords: 1 }
    expect(
      dropped(files({ ...low, name: 'old', keys: [0, 99] }, { ...low, ...deletes }), [clear(10, 19)]),
    ).toEqual(['low'])
    expect(dropped(files({ ...low, name: 'old', keys: [0, 99] }, low), [clear(10, 19)], true)).toEqual([
      'low',
    ])
    expect(dropped(files(high, { name: 'low', keys: [10, 19], ...deletes }), [clear(10, 19)])).toEqual([
      'low',
    ])
  })

  test('are kept if an older file needs their entries', () => {
    expect(dropped(files(high, { ...low, deletes: [before(5, 150)] }), [clear(10, 19)])).toEqual([])
    expect(dropped(files(high, { ...low, deletes: [clear(29, 40, 150)] }), [clear(10, 19)])).toEqual([])
    expect(dropped(files(high, { ...low, deletes: [clear(30, 40, 150)] }), [clear(10, 19)])).toEqual(['low'])
  })
})
