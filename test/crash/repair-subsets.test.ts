/** Repair of each subset of a table's files, with the manifest and without it. */
import { describe, expect, test } from 'vitest'
import { repairTable } from '../../src/offline/repair/repair.js'
import {
  contentsOf,
  DIRECTORY,
  holdings,
  makeTable,
  manifestOf,
  recordsOf,
  SCHEMA,
} from '../support/damaged-table.js'
import { simulatedEnvironment } from '../support/simulated-environment.js'

const INTO = '/tables/saved'
const MANIFEST = `${DIRECTORY}/MANIFEST`

describe.each([
  ['that ended cleanly', false],
  ['that was killed', true],
])('of a table %s', (_, unclean) => {
  test(
    'each subset of the files gives exactly what they hold, and tells what is missing',
    { timeout: 600_000 },
    async () => {
      const disk = await makeTable(unclean)
      const held = await holdings(disk)
      const { files, log } = manifestOf(disk)
      expect(files.length).toBeGreaterThan(2)
      expect(new Set(files.map(file => file.level)).size).toBeGreaterThan(1)
      expect(log.closed.length).toBe(2)
      expect(held.length).toBe(files.length + 2 + (unclean ? 1 : 0))
      // Spares are no part of the table; frames in them have another test.
      const known = new Set([MANIFEST, ...held.map(({ path }) => path)])
      for (const path of disk.files()) {
        if (path.startsWith(`${DIRECTORY}/`) && !known.has(path)) disk.removeFile(path)
      }
      for (let subset = 0; subset < 2 ** held.length; subset++) {
        for (const manifest of [true, false]) {
          if (!manifest && subset === 0) continue
          const left = disk.clone()
          const there = held.filter((_, i) => (subset >>> i) & 1)
          for (const { path } of held.filter(one => !there.includes(one))) left.removeFile(path)
          if (!manifest) left.removeFile(MANIFEST)
          const environment = simulatedEnvironment(left)
          const { losses } = await repairTable(DIRECTORY, INTO, {
            environment,
            bufferBytes: 8192,
            ...SCHEMA,
          })
          const what = `${manifest ? 'MANIFEST ' : ''}${there.map(({ path }) => path).join(' ')}`
          expect(await contentsOf(left, INTO), what).toEqual(recordsOf(there))
          const whole = manifest && there.length === held.length
          if (whole) expect(losses, what).toEqual([])
          else expect(losses.length, what).toBeGreaterThan(0)
          if (manifest) {
            const missing = held.filter(one => !there.includes(one)).map(({ path }) => path)
            const told = losses.map(({ file }) => file)
            for (const path of missing.filter(path => path.endsWith('.bucket')))
              expect(told, what).toContain(path)
          }
        }
      }
    },
  )
})
