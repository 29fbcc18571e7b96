/**
 * Random lives of tables published to an unreliable store from machines that die: whatever happens, the published table is
 * whole, each of its versions is a prefix of what was put, and of two writers one is stopped.
 */
import { describe, expect, test } from 'vitest'
import { hasCode } from '../../src/base/errors.js'
import { Machine, newStored, remoteOf, restoredKeys, upTo } from '../support/published.js'
import { Random } from '../support/random.js'
import { SimulatedFileSystem } from '../support/simulated-file-system.js'
import { SimulatedStore, type StoredObjects } from '../support/simulated-store.js'

const ODDS = 0.08

async function checkVersions(stored: StoredObjects): Promise<number> {
  const versions = remoteOf(stored)?.versions ?? []
  for (const { version, sequence } of versions)
    expect(await restoredKeys(new SimulatedStore(stored), version)).toEqual(upTo(sequence))
  return versions.length
}

async function life(seed: number): Promise<{ versions: number; fenced: number; published: number }> {
  const chance = new Random(seed)
  const stored = newStored()
  const newStore = (): SimulatedStore => new SimulatedStore(stored, chance.next(), ODDS)
  const machines = [new Machine(newStore(), '/a', new SimulatedFileSystem({ seed }))]
  let fenced = 0
  let published = 0
  for (let step = 0; step < 14; step++) {
    const machine = chance.pick(machines)
    const what = chance.below(10)
    if (what === 0) await machine.cut(chance.next())
    if (what === 1) {
      // The machine dies in the middle of a publish.
      machine.store.crashAt = machine.store.ownCalls + chance.between(1, 12)
      await machine.publish({ retention: 400 }).catch(() => {})
      await machine.cut(chance.next())
      continue
    }
    if (what === 2 && machines.length < 3) {
      const copy = await Machine.restored(newStore(), `/copy${step}`).catch(() => undefined)
      if (copy !== undefined) machines.push(copy)
      continue
    }
    await machine.put(chance.below(120))
    try {
      const { sequence } = await machine.publish({ retention: 400, takeOver: chance.chance(0.3) })
      const { next } = (await machine.table!.stats()).sequence
      expect(sequence).toBe(next)
      published++
    } catch (error) {
      if (hasCode(error, 'FLASHTABLE_FENCED')) fenced++
      else if (!hasCode(error, 'FLASHTABLE_UNAVAILABLE') && !hasCode(error, 'FLASHTABLE_EXISTS')) throw error
    }
  }
  for (const machine of machines) await machine.close()
  stored.settle()
  return { versions: await checkVersions(stored), fenced, published }
}

describe('lives of published tables', () => {
  const LIVES = 16
  test(`${LIVES} lives`, async () => {
    let [versions, fenced, published] = [0, 0, 0]
    for (let seed = 0; seed < LIVES; seed++) {
      const result = await life(seed).catch((error: unknown) => {
        throw new Error(`seed ${seed}`, { cause: error })
      })
      versions += result.versions
      fenced += result.fenced
      published += result.published
    }
    // The lives are worth it: all that can happen has happened.
    expect(versions).toBeGreaterThan(LIVES)
    expect(fenced).toBeGreaterThan(3)
    expect(published).toBeGreaterThan(LIVES)
  })
})
