/** Which files are dropped whole: never one whose deletes an older file needs. */
import { describe, expect, test } from 'vitest'
import { hiddenFiles, type BoundedFile } from '../../../src/compaction/hidden-files.js'
import type { DeleteWhere } from '../../../src/records/operations.js'
import { recordLayout } from '../../../src/records/record-layout.js'

const layout = recordLayout([4], [4])

interface Given {
  readonly name: string
  readonly times?: readonly [least: number, greatest: number]
  readonly deleteKeys?: number
  readonly deleteRecords?: number
  readonly deletes?: readonly DeleteWhere[]
}

/** Files with 100 sequence numbers each: 0 to 99, 100 to 199, ... */
function files(...given: readonly Given[]): (BoundedFile & { readonly name: string })[] {
  return given.map(({ name, times, deleteKeys = 0, deleteRecords = 0, deletes = [] }, i) => ({
    name,
    entry: { endSequence: 100 * (i + 1) },
    footer: {
      records: times === undefined ? 0 : 10,
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
