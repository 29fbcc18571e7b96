/** A store whose reads wait for each other: those that are asked for within a moment are answered together, as one wave. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { ObjectStore } from '../../src/index.js'

/** Long enough for whatever asks for several reads without waiting for one. */
const MOMENT_MS = 25

/** The store, and how many reads each wave had so far. */
export function inWaves(store: ObjectStore): { readonly store: ObjectStore; readonly waves: number[] } {
  const waves: number[] = []
  let wave: Promise<void> | undefined
  const joinWave = (): Promise<void> => {
    if (wave === undefined) {
      waves.push(0)
      wave = sleep(MOMENT_MS).then(() => (wave = undefined))
    }
    waves[waves.length - 1]!++
    return wave
  }
  const waiting = new Proxy(store, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name, target)
      if (typeof value !== 'function') return value
      return async (...given: unknown[]): Promise<unknown> => {
        if (name === 'get') await joinWave()
        return Reflect.apply(value, target, given)
      }
    },
  })
  return { store: waiting, waves }
}
