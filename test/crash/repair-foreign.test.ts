/**
 * Files whose content is not what their names say: repair saves what it can, and tells what it cannot; verify finds a
 * problem, or the torn end of a log, wherever repair tells a loss.
 */
import { beforeAll, describe, expect, test } from 'vitest'
import { FlashTable } from '../../src/index.js'
import { bucketName, walName } from '../../src/io/file-names.js'
import { repairTable } from '../../src/offline/repair/repair.js'
import { verifyTable } from '../../src/offline/verify.js'
import {
  contentsOf,
  DIRECTORY,
  makeTable,
  manifestOf,
  openTable,
  OPTIONS,
  stateAfter,
  type Step,
} from '../support/damaged-table.js'
import { Random } from '../support/random.js'
import { simulatedEnvironment } from '../support/simulated-environment.js'
import type { SimulatedFileSystem } from '../support/simulated-file-system.js'

const INTO = '/tables/saved'

const repair = (disk: SimulatedFileSystem) =>
  repairTable(DIRECTORY, INTO, { environment: simulatedEnvironment(disk), bufferBytes: 2 ** 16 })

const verify = (disk: SimulatedFileSystem) => verifyTable(DIRECTORY, { fileSystem: disk })

const pathOf = (name: string): string => `${DIRECTORY}/${name}`

/** Killed, with segments that were retired before, and one that is written. */
let killed: SimulatedFileSystem
let history: Step[]
/** The segment that was being written. */
let active: string

beforeAll(async () => {
  history = []
  killed = await makeTable(true, history)
  const { log } = manifestOf(killed)
  const segments = killed
    .files()
    .filter(path => path.endsWith('.wal') && path >= pathOf(walName(log.firstSegment)))
  expect(segments).toHaveLength(1)
  active = segments[0]!
})

/** A segment of another table, with frames of the same numbers. */
async function segmentOfAnother(): Promise<Uint8Array> {
  const disk = killed.clone()
  const environment = simulatedEnvironment(disk)
  const table = await FlashTable.openIn('/tables/another', OPTIONS, environment)
  for (let i = 0; i < 300; i++) await table.put(i, { time: 1, id: 1 })
  const path = disk.files().findLast(name => name.startsWith('/tables/another/') && name.endsWith('.wal'))!
  const bytes = disk.readFile(path)
  await table.close()
  return bytes
}

describe('a log segment that was written over', () => {
  const contents: [string, () => Uint8Array | Promise<Uint8Array>][] = [
    ["another table's segment", segmentOfAnother],
    ['a bucket file', () => killed.readFile(pathOf(bucketName(manifestOf(killed).files[0]!.number)))],
    [
      'an older segment of the log',
      () => killed.readFile(pathOf(walName(manifestOf(killed).log.closed[0]!.number))),
    ],
    ['random bytes', () => new Random(1).bytes(65_536)],
    ['a few random bytes', () => new Random(1).bytes(7)],
    ['zeros', () => new Uint8Array(65_536)],
  ]
  test.each(contents)('with %s is a loss, and verify tells where the log ends', async (_, content) => {
    const disk = killed.clone()
    disk.writeFile(active, await content())
    const { tornAt, problems } = await verify(disk)
    const { losses } = await repair(disk)
    expect(losses).toMatchObject([
      { file: active, reason: expect.stringContaining('no frame of this segment') },
    ])
    expect(problems.length > 0 || tornAt?.path === active).toBe(true)
    expect(await contentsOf(disk, INTO)).not.toEqual(stateAfter(history, history.length))
  })
})

describe('before its first frame a log segment', () => {
  /** A life in which nothing was put, with a spare. */
  async function newLife(): Promise<{ disk: SimulatedFileSystem; next: string; spare: string }> {
    const disk = killed.clone()
    const table = await openTable(disk)
    const begun = disk.clone()
    await table.close()
    const { log, nextFileNumber } = manifestOf(begun)
    const spare = begun
      .files()
      .findLast(path => path.endsWith('.wal') && path < pathOf(walName(log.firstSegment)))!
    return { disk: begun, spare, next: pathOf(walName(nextFileNumber)) }
  }

  test('that was a spare and has its new number is sound', async () => {
    const { disk, next, spare } = await newLife()
    disk.writeFile(next, disk.readFile(spare))
    disk.removeFile(spare)
    expect(await verify(disk)).toMatchObject({ problems: [], tornAt: undefined })
    expect((await repair(disk)).losses).toEqual([])
  })

  test('that is empty is sound', async () => {
    const { disk, next } = await newLife()
    disk.writeFile(next, new Uint8Array(0))
    expect(await verify(disk)).toMatchObject({ problems: [], tornAt: undefined })
    expect((await repair(disk)).losses).toEqual([])
  })

  test('that a power cut has left as zeros is no problem: the log ends there', async () => {
    const { disk, next } = await newLife()
    disk.writeFile(next, new Uint8Array(4096))
    expect(await verify(disk)).toMatchObject({ problems: [], tornAt: { path: next, offset: 0 } })
  })
})

describe('where two files were exchanged by name, repair saves everything and says so:', () => {
  const first = (): string => bucketName(manifestOf(killed).files[0]!.number)
  const other = (): string => bucketName(manifestOf(killed).files[1]!.number)
  const segment = (): string => active.slice(DIRECTORY.length + 1)
  const pairs: [string, string, () => [string, string]][] = [
    ['the manifest', 'a log segment', () => ['MANIFEST', segment()]],
    ['the manifest', 'a bucket file', () => ['MANIFEST', first()]],
    ['a bucket file', 'a log segment', () => [first(), segment()]],
    ['a bucket file', 'another one', () => [first(), other()]],
  ]
  test.each(pairs)('%s and %s are told apart by their content', async (_one, _two, pair) => {
    const disk = killed.clone()
    const [one, two] = pair().map(pathOf) as [string, string]
    const bytes = disk.readFile(one)
    disk.writeFile(one, disk.readFile(two))
    disk.writeFile(two, bytes)
    const { losses } = await repair(disk)
    expect(losses.map(({ file }) => file).sort()).toEqual([one, two].sort())
    for (const { reason } of losses) expect(reason).toContain('by its content it is')
    expect(await contentsOf(disk, INTO)).toEqual(stateAfter(history, history.length))
    expect((await verify(disk)).problems).not.toEqual([])
  })

  test('the manifest under the name of a log segment, whose content is gone', async () => {
    const disk = killed.clone()
    disk.writeFile(active, disk.readFile(pathOf('MANIFEST')))
    disk.removeFile(pathOf('MANIFEST'))
    const { losses, records } = await repair(disk)
    expect(losses[0]).toMatchObject({ file: active, reason: expect.stringContaining('it is MANIFEST') })
    expect(losses.length).toBeGreaterThan(1)
    expect(records).toBeGreaterThan(1000)
  })
})
