import { expect, test } from 'vitest'
import { LifetimeCounters } from '../../../src/state/lifetime-counters.js'

const STORED = { walBytes: 1, bucketBytes: 2, manifestBytes: 3, eventBytes: 4, recordBytes: 40, records: 4 }

test('the counters go on from those of the manifest', () => {
  const counters = new LifetimeCounters(STORED, 10)
  counters.countLog(100)
  counters.countBuckets(200)
  counters.countManifest(300)
  counters.countEvents(400)
  counters.countPuts(5)
  expect(counters.read()).toEqual({
    walBytes: 101,
    bucketBytes: 202,
    manifestBytes: 303,
    eventBytes: 404,
    recordBytes: 90,
    records: 9,
  })
})

test('puts that are still to count are in the copy alone', () => {
  const counters = new LifetimeCounters(STORED, 10)
  expect(counters.read(2)).toMatchObject({ records: 6, recordBytes: 60 })
  expect(counters.read()).toEqual(STORED)
})
