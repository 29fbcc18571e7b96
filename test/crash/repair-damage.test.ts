/**
 * Repair of tables with random damage: what it saves was put, and where something is missing or came back it says so;
 * verify finds a problem, or the end of a torn log, wherever repair tells a loss.
 *
 * `FLASHTABLE_REPAIRS` tries more states; the seed is printed.
 */
import { beforeAll, describe, expect, test } from 'vitest'
import { fileSeed } from '../../src/format/checksum.js'
import { setPageChecksum } from '../../src/format/section.js'
import { FlashTableError } from '../../src/index.js'
import { bucketName } from '../../src/io/file-names.js'
import { tableIdBytes } from '../../src/manifest/bucket-file-entry.js'
import { repairTable, type RepairResult } from '../../src/offline/repair/repair.js'
import { verifyTable } from '../../src/offline/verify.js'
import {
  contentsOf,
  DIRECTORY,
  makeTable,
  manifestOf,
  PAGE_BYTES,
  SCHEMA,
  stateAfter,
  type Step,
} from '../support/damaged-table.js'
import { Random } from '../support/random.js'
import { simulatedEnvironment } from '../support/simulated-environment.js'
import type { SimulatedFileSystem } from '../support/simulated-file-system.js'

const SEED = Number(process.env['FLASHTABLE_SEED'] ?? Date.now() % 1_000_000)
const STATES = Number(process.env['FLASHTABLE_REPAIRS'] ?? 100)
const INTO = '/tables/saved'
const SECTOR = 512

interface Case {
  readonly disk: SimulatedFileSystem
  readonly history: readonly Step[]
  readonly right: readonly string[]
  /** States that an unclean end without its last frames may have: nothing vouches for these. */
  readonly torn: ReadonlySet<string>
  readonly put: ReadonlySet<string>
  /** Paths that the manifest names, or that an open would replay. */
  readonly paths: readonly string[]
}

async function caseOf(unclean: boolean): Promise<Case> {
  const history: Step[] = []
  const disk = await makeTable(unclean, history)
  const { files, log } = manifestOf(disk)
  const named = new Set([...files.map(file => bucketName(file.number)), 'MANIFEST'])
  const live = (path: string): boolean => {
    const name = path.slice(DIRECTORY.length + 1)
    const segment = Number(/^(\d+)\.wal$/.exec(name)?.[1] ?? 0)
    return (
      named.has(name) ||
      log.closed.some(closed => closed.number === segment) ||
      (unclean && segment >= log.firstSegment)
    )
  }
  const last = unclean ? 24 : 0
  return {
    disk,
    history,
    right: stateAfter(history, history.length),
    torn: new Set(Array.from({ length: last }, (_, i) => stateAfter(history, history.length - 1 - i).join())),
    put: new Set(history.flatMap(([kind, what]) => (kind === 'put' ? [what] : []))),
    paths: disk.files().filter(path => path.startsWith(`${DIRECTORY}/`) && live(path)),
  }
}

/** Damages a file, and says how. */
function damage(disk: SimulatedFileSystem, path: string, random: Random): string {
  const bytes = Uint8Array.from(disk.readFile(path))
  const at = random.below(Math.max(1, bytes.length))
  const write = (what: string, changed: Uint8Array): string => {
    disk.writeFile(path, changed)
    return `${path}: ${what} at ${at}`
  }
  const kind = random.below(8)
  if (bytes.length === 0 || kind === 0) {
    disk.removeFile(path)
    return `${path} removed`
  }
  if (kind === 1) return write('cut', bytes.subarray(0, at))
  if (kind === 2) return write('cut at a page', bytes.subarray(0, at - (at % PAGE_BYTES)))
  if (kind === 3)
    return write('a sector zeroed', bytes.fill(0, at - (at % SECTOR), at - (at % SECTOR) + SECTOR))
  if (kind === 4) {
    const block = random.bytes(Math.min(SECTOR, bytes.length - at))
    bytes.set(block, at)
    return write('random bytes', bytes)
  }
  if (kind === 5) {
    const page = at - (at % PAGE_BYTES)
    bytes.copyWithin(page, 0, PAGE_BYTES)
    return write('the first page copied', bytes)
  }
  bytes[at]! ^= 1 << random.below(8)
  return write('a bit flipped', bytes)
}

async function repair(disk: SimulatedFileSystem): Promise<RepairResult | FlashTableError> {
  try {
    return await repairTable(DIRECTORY, INTO, {
      environment: simulatedEnvironment(disk),
      bufferBytes: 2048 * 4,
      ...SCHEMA,
    })
  } catch (error) {
    if (!(error instanceof FlashTableError)) throw error
    return error
  }
}

describe.each([
  ['that ended cleanly', false],
  ['that was killed', true],
])(`repair of a table %s (seed ${SEED})`, (_, unclean) => {
  let table: Case

  beforeAll(async () => {
    table = await caseOf(unclean)
  })

  test('saves nothing that was not put, and tells all that is missing', { timeout: 600_000 }, async () => {
    let told = 0
    for (let state = 0; state < STATES; state++) {
      const random = new Random(SEED + state)
      const disk = table.disk.clone()
      const done: string[] = []
      for (let n = 1 + random.below(2); n > 0; n--) {
        const paths = table.paths.filter(path => disk.files().includes(path))
        done.push(damage(disk, paths[random.below(paths.length)]!, random))
      }
      const what = `FLASHTABLE_SEED=${SEED + state}: ${done.join(', ')}`
      const { problems, tornAt } = await verifyTable(DIRECTORY, { fileSystem: disk }).catch(() => ({
        problems: [what],
        tornAt: undefined,
      }))
      const result = await repair(disk)
      if (result instanceof FlashTableError) {
        // Something must be left of two damaged files.
        throw new Error(what, { cause: result })
      }
      const saved = await contentsOf(disk, INTO)
      expect(
        saved.filter(record => !table.put.has(record)),
        what,
      ).toEqual([])
      // Every record was put once.
      expect(new Set(saved).size, what).toBe(saved.length)
      const same = saved.join() === table.right.join()
      if (!same && !table.torn.has(saved.join())) expect(result.losses, what).not.toEqual([])
      if (result.losses.length === 0) continue
      told++
      expect(problems.length > 0 || tornAt !== undefined, what).toBe(true)
    }
    expect(told).toBeGreaterThan(STATES / 10)
  })

  test(
    'saves nothing twice, and nothing that was not put, without the manifest too',
    { timeout: 600_000 },
    async () => {
      let whole = 0
      for (let state = 0; state < STATES; state++) {
        const random = new Random(SEED + state)
        const disk = table.disk.clone()
        disk.removeFile(`${DIRECTORY}/MANIFEST`)
        const paths = table.paths.filter(path => !path.endsWith('MANIFEST'))
        const what = `FLASHTABLE_SEED=${SEED + state}: ${damage(disk, paths[random.below(paths.length)]!, random)}`
        const result = await repair(disk)
        if (result instanceof FlashTableError) throw new Error(what, { cause: result })
        expect(result.losses.length, what).toBeGreaterThan(0)
        const saved = await contentsOf(disk, INTO)
        expect(
          saved.filter(record => !table.put.has(record)),
          what,
        ).toEqual([])
        expect(new Set(saved).size, what).toBe(saved.length)
        if (saved.join() === table.right.join()) whole++
      }
      expect(whole).toBeGreaterThan(0)
    },
  )

  test(
    'ends, and tells what does not fit, where checksums were made right',
    { timeout: 600_000 },
    async () => {
      const manifest = manifestOf(table.disk)
      for (let state = 0; state < STATES / 2; state++) {
        const random = new Random(SEED + state)
        const disk = table.disk.clone()
        const entry = manifest.files[random.below(manifest.files.length)]!
        const path = `${DIRECTORY}/${bucketName(entry.number)}`
        const bytes = Uint8Array.from(disk.readFile(path))
        const number = random.below(3) === 0 ? entry.pages - 1 : random.below(entry.pages)
        const page = bytes.subarray(number * PAGE_BYTES, (number + 1) * PAGE_BYTES)
        const at = 4 + random.below(random.below(2) === 0 ? 160 : PAGE_BYTES - 4)
        page[at]! ^= 1 << random.below(8)
        setPageChecksum(page, fileSeed(tableIdBytes(manifest.tableId), entry.epoch, entry.number), number)
        disk.writeFile(path, bytes)
        const what = `FLASHTABLE_SEED=${SEED + state}: ${path} page ${number} byte ${at}`
        const { problems } = await verifyTable(DIRECTORY, { fileSystem: disk })
        const result = await repair(disk)
        expect(result, what).not.toBeInstanceOf(FlashTableError)
        const { losses } = result as RepairResult
        if (losses.length > 0) expect(problems.length, what).toBeGreaterThan(0)
      }
    },
  )
})
