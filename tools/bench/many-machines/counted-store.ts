/** A store that counts its calls, and those of the stores below it, by name. */
import type { ObjectStore } from '../../../src/store/object-store.js'

export function countedStore(store: ObjectStore): {
  readonly store: ObjectStore
  readonly counts: Record<string, number>
} {
  const counts: Record<string, number> = {}
  return { store: counted(store, counts), counts }
}

function counted(store: ObjectStore, counts: Record<string, number>): ObjectStore {
  return new Proxy(store, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name, target)
      if (typeof value !== 'function') return value
      return (...given: unknown[]): unknown => {
        const result: unknown = Reflect.apply(value, target, given)
        if (name === 'below') return counted(result as ObjectStore, counts)
        counts[String(name)] = (counts[String(name)] ?? 0) + 1
        return result
      }
    },
  })
}
