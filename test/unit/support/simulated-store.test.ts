import { SimulatedStore, StoredObjects } from '../../support/simulated-store.js'
import { describeObjectStore } from '../../contract/object-store-contract.js'

describeObjectStore('the simulated store', () => {
  const stored = new StoredObjects()
  return Promise.resolve({ store: new SimulatedStore(stored), other: new SimulatedStore(stored) })
})
