import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  garbageMerge,
  levelOf,
  mergeWithLog,
  nextMerge,
  overdueMerge,
  sizeLevels,
  storedLevel,
  type EstimatedFile,
  type PlannedMerge,
  type SizedFile,
} from '../../../src/compaction/policy.js'

interface File {
  readonly level: number
  /** Memtables in it. */
  readonly size: number
  /** The first memtable in it; the file holds `size` of them, one behind another. */
  readonly first: number
}

/** Files after every merge that is due, and what these merges wrote. */
function settled(files: readonly File[], fanout: number): { files: File[]; written: number } {
  let left = [...files]
  let written = 0
  for (let merges = 0; ; merges++) {
    expect(merges).toBeLessThanOrEqual(files.length)
    const merge = nextMerge(left, fanout)
    if (merge === undefined) return { files: left, written }
    const { from, to, level } = merge
    expect(from).toBeGreaterThanOrEqual(0)
    expect(to).toBeLessThanOrEqual(left.length)
    expect(to - from).toBeGreaterThanOrEqual(fanout)
    const inputs = left.slice(from, to)
    for (const [i, file] of inputs.entries()) {
      expect(level).toBeGreaterThan(file.level)
      // Neighbours in age: their memtables follow each other.
      if (i > 0) expect(file.first).toBe(inputs[i - 1]!.first + inputs[i - 1]!.size)
    }
    const size = inputs.reduce((sum, file) => sum + file.size, 0)
    written += size
    left = [...left.slice(0, from), { level, size, first: inputs[0]!.first }, ...left.slice(to)]
    expectLevels(left)
  }
}

/** Invariant: oldest first, levels never rise. */
function expectLevels(files: readonly { level: number }[]): void {
  for (let i = 1; i < files.length; i++) {
    expect(files[i]!.level).toBeLessThanOrEqual(files[i - 1]!.level)
  }
}

describe.each([2, 3, 4, 8])('merges with fanout %i', fanout => {
  test('keep every level short, and write no record more often than there are levels', () => {
    const memtables = fanout === 2 ? 300 : 1500
    let files: File[] = []
    // Every memtable is written once by its seal.
    let written = 0
    for (let sealed = 1; sealed <= memtables; sealed++) {
      const after = settled([...files, { level: 0, size: 1, first: sealed - 1 }], fanout)
      files = after.files
      written += 1 + after.written
      expect(files.reduce((sum, file) => sum + file.size, 0)).toBe(sealed)
      const levels = Math.floor(Math.log(sealed) / Math.log(fanout) + 1e-9)
      expect(Math.max(...files.map(file => file.level))).toBeLessThanOrEqual(levels)
      for (let level = 0; level <= levels; level++) {
        expect(files.filter(file => file.level === level).length).toBeLessThan(fanout)
      }
      expect(written / sealed).toBeLessThanOrEqual(levels + 1)
    }
    // It pays: without merges there would be a file a memtable.
    expect(files.length).toBeLessThanOrEqual((fanout - 1) * Math.ceil(Math.log(memtables) / Math.log(fanout)))
  })

  test('begin with the level that is full, and take in the next one where it would be full then', () => {
    const level = (n: number, count: number) => Array.from({ length: count }, () => ({ level: n }))
    expect(nextMerge(level(0, fanout - 1), fanout)).toBeUndefined()
    expect(nextMerge(level(0, fanout), fanout)).toEqual({ from: 0, to: fanout, level: 1 })
    const twoLevels = [...level(1, fanout - 1), ...level(0, fanout)]
    expect(nextMerge(twoLevels, fanout)).toEqual({ from: 0, to: twoLevels.length, level: 2 })
    const gap = [...level(2, fanout - 1), ...level(0, fanout)]
    expect(nextMerge(gap, fanout)).toEqual({ from: fanout - 1, to: gap.length, level: 1 })
    const notFull = [...level(1, Math.max(0, fanout - 2)), ...level(0, fanout)]
    expect(nextMerge(notFull, fanout)).toEqual({
      from: Math.max(0, fanout - 2),
      to: notFull.length,
      level: 1,
    })
    // An older level may be full while the young ones are not: after a fanout that was smaller.
    const older = [...level(3, fanout), ...level(0, fanout - 1)]
    expect(nextMerge(older, fanout)).toEqual({ from: 0, to: fanout, level: 4 })
  })

  test('come to an end and keep the order of ages, from any list of files', () => {
    const lists = fc.array(fc.nat(5), { maxLength: 60 }).map(levels => levels.sort((a, b) => b - a))
    fc.assert(
      fc.property(lists, levels => {
        const { files } = settled(
          levels.map((level, first) => ({ level, size: 1, first })),
          fanout,
        )
        for (const { level } of files) {
          expect(files.filter(file => file.level === level).length).toBeLessThan(fanout)
        }
      }),
    )
  })
})

describe('the next merge', () => {
  test('of no files is none', () => {
    expect(nextMerge([], 8)).toBeUndefined()
  })
})

/** A file of 100 operations; `masked` for as many newer files as it has entries, the last one for all others. */
function estimated(level: number, masked: readonly number[], tombstones = 0, operations = 100) {
  return { level, masked, tombstones, operations }
}

/** Gives each file a `masked` for every newer one. */
function completed(files: readonly EstimatedFile[]): EstimatedFile[] {
  return files.map((file, i) => ({
    ...file,
    masked: Array.from({ length: files.length - i }, (_, k) => file.masked[k] ?? file.masked.at(-1) ?? 0),
  }))
}

describe('what is hidden makes a merge due', () => {
  const cases: [string, EstimatedFile[], PlannedMerge | undefined][] = [
    ['of no files: none', [], undefined],
    ['nothing hidden: none', [estimated(2, [0]), estimated(0, [0])], undefined],
    ['less than a third: none', [estimated(0, [33])], undefined],
    ['a third of a file: that file, at its level', [estimated(3, [34]), estimated(1, [0])], merge(0, 1, 3)],
    ['of a file in the middle', [estimated(3, [9]), estimated(2, [40]), estimated(0, [0])], merge(1, 2, 2)],
    ['the file of which most is hidden', [estimated(3, [50]), estimated(2, [60])], merge(1, 2, 2)],
    ['the oldest of those alike', [estimated(3, [50]), estimated(2, [50])], merge(0, 1, 3)],
    [
      'by operations of another file: both',
      [estimated(3, [0, 70]), estimated(2, [0]), estimated(1, [0])],
      merge(0, 2, 3),
    ],
    [
      'by operations of several: all, and what lies between',
      [estimated(3, [0, 0, 60, 99]), estimated(2, [0, 50]), estimated(1, [0, 50]), estimated(1, [0])],
      merge(0, 4, 3),
    ],
    [
      'but not where the files to read are much larger than what goes',
      [estimated(3, [0]), estimated(2, [0, 100]), estimated(1, [0], 0, 1000)],
      undefined,
    ],
    [
      'what hides counts with the oldest file',
      [estimated(1, [0, 30]), estimated(0, [0], 40)],
      merge(0, 2, 1),
    ],
    ['and not without it', [estimated(2, [0]), estimated(1, [0, 30]), estimated(0, [0], 40)], undefined],
    [
      'what hides in the oldest file hides nothing',
      [estimated(1, [0], 40), estimated(0, [0])],
      merge(0, 1, 1),
    ],
  ]

  test.each(cases)('%s', (_, files, expected) => {
    expect(garbageMerge(completed(files))).toEqual(expected)
  })

  test('and it comes to an end, and keeps the order of levels, whatever the estimates of several files', () => {
    const lists = fc.array(fc.record({ level: fc.nat(4), records: fc.nat(60), deletes: fc.nat(60) }), {
      maxLength: 12,
    })
    fc.assert(
      fc.property(lists, fc.infiniteStream(fc.nat(100)), (list, guesses) => {
        let files = list.sort((a, b) => b.level - a.level).map(file => new GuessedFile(file, guesses))
        // Each merge leaves fewer files, or fewer operations in one.
        const mergesMost = list.reduce((total, { records, deletes }) => total + 1 + records + deletes, 0)
        for (let merges = 0; ; merges++) {
          expect(merges).toBeLessThanOrEqual(mergesMost)
          const due = garbageMerge(files.map((file, i) => file.estimate(files.length - i)))
          if (due === undefined) break
          const output = GuessedFile.merged(files.slice(due.from, due.to), due, guesses)
          files = [
            ...files.slice(0, due.from),
            ...(output === undefined ? [] : [output]),
            ...files.slice(due.to),
          ]
          expectLevels(files)
        }
      }),
    )
  })
})

function merge(from: number, to: number, level: number): PlannedMerge {
  return { from, to, level }
}

/** A file of which what a merge with others drops is guessed, and nothing of that comes true. */
class GuessedFile {
  readonly level: number
  readonly records: number
  readonly deletes: number
  /** Records that *delete where* entries hide: they were seen. */
  readonly seen: number
  readonly #guesses: Iterator<number>

  constructor(
    { level, records, deletes }: { level: number; records: number; deletes: number },
    guesses: Iterator<number>,
  ) {
    this.level = level
    this.records = records
    this.deletes = deletes
    this.seen = this.#chosen(guesses, records)
    this.#guesses = guesses
  }

  static merged(
    inputs: readonly GuessedFile[],
    { from, level }: PlannedMerge,
    guesses: Iterator<number>,
  ): GuessedFile | undefined {
    const sum = (of: (file: GuessedFile) => number) => inputs.reduce((total, file) => total + of(file), 0)
    const records = sum(file => file.records - file.seen)
    const deletes = from === 0 ? 0 : sum(file => file.deletes)
    return records + deletes === 0 ? undefined : new GuessedFile({ level, records, deletes }, guesses)
  }

  estimate(files: number): EstimatedFile {
    const masked = [this.seen]
    while (masked.length < files)
      masked.push(Math.max(masked.at(-1)!, this.#chosen(this.#guesses, this.records)))
    return { level: this.level, operations: this.records + this.deletes, masked, tombstones: this.deletes }
  }

  /** Any number up to `most`. */
  #chosen(guesses: Iterator<number>, most: number): number {
    return Math.floor(((guesses.next().value as number) * most) / 100)
  }
}

describe('the level of a file', () => {
  test('is the one that merges from memtables up give a file of its size', () => {
    expect([0, 1, 1000].map(records => levelOf(records, 1000, 8))).toEqual([0, 0, 0])
    expect([1001, 8000, 8001, 64_000, 64_001].map(records => levelOf(records, 1000, 8))).toEqual([
      1, 1, 2, 2, 3,
    ])
    expect(levelOf(2 ** 40, 1, 2)).toBe(40)
  })
})

/** The files of a table that lives in short lives, each of which is too short for a merge in the background. */
class ShortLives {
  static readonly MEMTABLE = 2 ** 21
  static readonly MEMTABLE_PAGES = 8192
  static readonly PAGE_RECORDS = 340
  files: SizedFile[] = []
  pagesWritten = 0
  readonly #fanout: number
  #sequence = 0

  constructor(fanout: number) {
    this.#fanout = fanout
  }

  /** An open that finds this many operations in the log. */
  open(operations: number): void {
    const firstSequence = this.#sequence
    this.#sequence += operations
    const log = { level: 0, firstSequence, endSequence: this.#sequence, pages: operations / 256 }
    const files = sizeLevels([...this.files, log], ShortLives.MEMTABLE, this.#fanout)
    const { from, level } = mergeWithLog(files, this.#fanout, ShortLives.MEMTABLE_PAGES)
    this.#merge([...this.files, log], from, files.length, level)
    for (;;) {
      const sized = sizeLevels(this.files, ShortLives.MEMTABLE, this.#fanout)
      expectLevels(sized)
      const due = overdueMerge(sized, this.#fanout, Math.max(8, this.#fanout))
      if (due === undefined) return
      expect(due.to - due.from).toBeGreaterThan(1)
      expect(due.to - due.from).toBeLessThanOrEqual(Math.max(8, this.#fanout))
      this.#merge(this.files, due.from, due.to, due.level)
    }
  }

  #merge(files: readonly SizedFile[], from: number, to: number, level: number): void {
    const { firstSequence } = files[from]!
    const { endSequence } = files[to - 1]!
    // Three pages for filter, fences and footer, or what there is of them.
    const pages = 3 + Math.ceil((endSequence - firstSequence) / ShortLives.PAGE_RECORDS)
    this.pagesWritten += pages
    this.files = files.toSpliced(from, to - from, {
      level: storedLevel(level),
      firstSequence,
      endSequence,
      pages,
    })
    expectLevels(this.files)
  }

  /** Requires: some operations were found. */
  get timesWritten(): number {
    return (this.pagesWritten * ShortLives.PAGE_RECORDS) / this.#sequence
  }
}

describe('lives that are too short for any merge', () => {
  test.each([1, 100, 5000, 250_000, 2_000_000])(
    'of %i records each leave as few files as one long life, and write them a few times',
    records => {
      const lives = new ShortLives(8)
      const most: number[] = []
      for (let life = 0; life < 2000; life++) {
        lives.open(records)
        most.push(lives.files.length)
      }
      // A long life has up to seven files on each of its levels. The levels below a memtable have as many.
      const levels = Math.ceil(Math.log(Math.max(1, (2000 * records) / ShortLives.MEMTABLE)) / Math.log(8))
      expect(Math.max(...most)).toBeLessThanOrEqual(8 * 4 + 16 * (levels + 1))
      if (records <= 100) {
        expect(Math.max(...most)).toBeLessThanOrEqual(3 * 7)
        // So little that the pages which a file takes at least are most of it.
        expect(lives.pagesWritten / 2000).toBeLessThanOrEqual(16)
      } else expect(lives.timesWritten).toBeLessThanOrEqual(8)
    },
  )

  test('of any lengths, at any fanout, keep the order of ages and few files of a level', () => {
    const life = fc.oneof(fc.integer({ min: 1, max: 300 }), fc.integer({ min: 1, max: ShortLives.MEMTABLE }))
    fc.assert(
      fc.property(
        fc.array(life, { minLength: 1, maxLength: 150 }),
        fc.constantFrom(2, 3, 8, 16),
        (runs, fanout) => {
          const lives = new ShortLives(fanout)
          let sequence = 0
          for (const operations of runs) {
            lives.open(operations)
            sequence += operations
            let next = 0
            for (const { firstSequence, endSequence } of lives.files) {
              expect(firstSequence).toBe(next)
              next = endSequence
            }
            expect(next).toBe(sequence)
            const levels = sizeLevels(lives.files, ShortLives.MEMTABLE, fanout).map(({ level }) => level)
            for (const level of levels) {
              expect(levels.filter(other => other === level).length).toBeLessThan(2 * fanout)
            }
          }
        },
      ),
    )
  })

  test('after hundreds of files of other times: they become few, a few at a time', () => {
    for (const level of [0, 2]) {
      const lives = new ShortLives(8)
      lives.files = Array.from({ length: 300 }, (_, i) => ({
        level,
        firstSequence: i,
        endSequence: i + 1,
        pages: 4,
      }))
      lives.open(1)
      expect(lives.files.length).toBeLessThan(17)
    }
  })
})
