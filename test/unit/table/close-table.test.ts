/** The steps of the end of a table. */
import { expect, test } from 'vitest'
import { Pins } from '../../../src/state/pins.js'
import { closeTable } from '../../../src/table/close-table.js'
import { closeParts } from './close.js'
import { DIRECTORY, newDisk, openParts, OPTIONS, putKeys } from './parts.js'

test('the log is synced before the manifest that notes its end', async () => {
  const disk = newDisk()
  const parts = await openParts(disk)
  await putKeys(parts, 0, 10)
  const before = disk.log.length
  await closeParts(parts)
  const calls = disk.log.slice(before).map(({ op, path }) => `${op} ${path.slice(DIRECTORY.length + 1)}`)
  const synced = calls.findIndex(call => /^sync .*\.wal$/.test(call))
  const installed = calls.indexOf('rename MANIFEST.tmp')
  expect(synced).toBeGreaterThanOrEqual(0)
  expect(installed).toBeGreaterThan(synced)
  expect(parts.state.manifest).toMatchObject({ clean: true, nextSequence: 10 })
})

test('calls that run are waited for before the log ends', async () => {
  const parts = await openParts(newDisk())
  const order: string[] = []
  const callsEnded = async (): Promise<void> => {
    await new Promise(resolve => void setImmediate(resolve))
    order.push(`calls ended, clean ${parts.state.manifest.clean}`)
  }
  await closeTable({
    parts: () => parts,
    pins: new Pins(() => {}),
    callsEnded,
    endPublishing: () => Promise.resolve(),
  })
  order.push(`closed, clean ${parts.state.manifest.clean}`)
  expect(order).toEqual(['calls ended, clean false', 'closed, clean true'])
})

test('a sync that fails is reported, and everything is released in any case', async () => {
  const disk = newDisk()
  const parts = await openParts(disk, { ...OPTIONS, syncIntervalMs: Infinity })
  await putKeys(parts, 0, 10)
  disk.failAt(({ op, path }) => op === 'sync' && path.endsWith('.wal'), 'EIO', { repeat: 'sticky' })
  await expect(closeParts(parts)).rejects.toMatchObject({ code: 'FLASHTABLE_POISONED' })
  expect(disk.openHandles).toBe(0)
  expect(parts.state.manifest.clean).toBe(false)
})

test('pins are released, so that their files are closed', async () => {
  const disk = newDisk()
  const parts = await openParts(disk)
  await putKeys(parts, 0, 200)
  const pins = new Pins(() => {})
  const pin = pins.pin(parts.state)
  await closeParts(parts, pins)
  expect([pin.held, disk.openHandles]).toEqual([false, 0])
})
