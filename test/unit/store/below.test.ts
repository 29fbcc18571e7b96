import { expect, test } from 'vitest'
import { checkStore } from '../../../src/table/publish.js'
import { SimulatedStore } from '../../support/simulated-store.js'

test('a store of somebody else has below only if that is needed', () => {
  const { url } = new SimulatedStore()
  const call = (): void => {}
  const own = {
    url,
    get: call,
    put: call,
    load: call,
    swap: call,
    list: call,
    delete: call,
    abortUploads: call,
    now: call,
  }
  expect(checkStore('publish', own).url).toBe(url)
  expect(() => checkStore('open', own, true)).toThrow(
    expect.objectContaining({
      code: 'FLASHTABLE_INVALID_OPTION',
      message: 'open: the store sim://store has no method below, which gives the store at a path below it',
    }),
  )
  const whole = { ...own, below: call }
  expect(checkStore('open', whole, true).url).toBe(url)
})
