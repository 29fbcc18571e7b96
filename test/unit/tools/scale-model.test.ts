/** The simulation of published tables (tools/bench/scale-model.ts) against the library, and against what is known. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { CountingStore, S3_LATENCY } from '../../../tools/bench/scale/counting-store.js'
import { SimulatedPartition, type PartitionOptions } from '../../../tools/bench/scale/partition.js'
import { comparedOf, differences, realRun } from '../../../tools/bench/scale/real-run.js'
import { getsPerHit, recordBytes } from '../../../tools/bench/scale/sizes.js'

const SIMULATED: PartitionOptions = {
  records: 35 * 16_384,
  partitions: 1,
  bufferRecords: 16_384,
  fanout: 4,
  recordsPerSecond: 10_000,
  // A merge ends after the publish of the flush that made it due, and before the next flush.
  mergeRecordsPerSecond: 1e9,
  publishEveryMs: 0,
  retentionMs: 3_600_000,
  latency: { medianMs: 1e-3, p99Ms: 2e-3, bytesPerSecond: 1e15 },
  seed: 1,
  serializeEvery: 1,
}

test('it uploads, keeps, collects and writes what the library does, within a tenth', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'flashtable-scale-'))
  try {
    const { records, bufferRecords, fanout } = SIMULATED
    const measured = await realRun({ directory, records, bufferRecords, fanout })
    const simulated = comparedOf(new SimulatedPartition(SIMULATED).run())
    expect(differences(simulated, measured)).toEqual([])
    // Merges of two levels.
    expect(measured.uploadedBytes / measured.liveBytes).toBeGreaterThan(2.5)
    expect(measured.deletes).toBeGreaterThan(30)
    expect(
      differences({ ...simulated, uploadedBytes: 1.2 * simulated.uploadedBytes }, measured),
    ).toHaveLength(1)
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
})

test('garbage stays for the retention and no longer, however long the table is written', () => {
  const retentionMs = 60_000
  const short = { ...SIMULATED, retentionMs, publishEveryMs: 10_000, latency: S3_LATENCY, serializeEvery: 8 }
  const [once, tenTimes] = [1, 10].map(times =>
    new SimulatedPartition({ ...short, records: times * SIMULATED.records }).run(),
  )
  expect(once!.retiredMsMost).toBeLessThanOrEqual(retentionMs)
  expect(tenTimes!.retiredMsMost).toBeLessThanOrEqual(retentionMs)
  expect(tenTimes!.retiredMost).toBeLessThan(2 * once!.retiredMost)
  expect(tenTimes!.store.deletes).toBe(tenTimes!.store.objects - tenTimes!.liveObjects)
  expect(tenTimes!.store.count).toBe(tenTimes!.liveObjects)
})

test('puts are delayed where merges are behind, so that there are few files', () => {
  const fast = { ...SIMULATED, records: 100 * 16_384, fanout: 16, serializeEvery: 64, recordsPerSecond: 1e6 }
  const { liveObjectsMost, loadedMs } = new SimulatedPartition({ ...fast, mergeRecordsPerSecond: 3e4 }).run()
  expect(liveObjectsMost).toBeLessThan(50)
  expect(loadedMs).toBeGreaterThan(10 * 1638)
})

test('the store refuses a key that was used, and the deletion of what is not there', () => {
  const store = new CountingStore(S3_LATENCY, 1)
  store.put('e/a', 10)
  store.delete('e/a')
  expect(() => store.put('e/a', 10)).toThrow('put twice')
  expect(() => store.delete('e/a')).toThrow('not there')
})

test('large objects are many requests, and stored bytes cost by the time', () => {
  const store = new CountingStore(S3_LATENCY, 1)
  store.put('e/a', 64 * 2 ** 20)
  expect(store.puts).toBe(1)
  store.put('e/b', 160 * 2 ** 20)
  expect(store.puts).toBe(1 + 12)
  store.passTo(1000)
  expect(store.byteMs).toBe(224 * 2 ** 20 * 1000)
})

test('latencies have the median and the 99th percentile that are asked for', () => {
  const store = new CountingStore({ ...S3_LATENCY, bytesPerSecond: Infinity }, 3)
  const took = Array.from({ length: 20_000 }, (_, i) => store.put(`e/${i}`, 1)).toSorted((a, b) => a - b)
  expect(took[10_000]! / S3_LATENCY.medianMs).toBeCloseTo(1, 1)
  expect(took[19_800]! / S3_LATENCY.p99Ms).toBeCloseTo(1, 0)
})

test('a hit visits each newer file without a filter', () => {
  expect(getsPerHit([100], 0)).toBe(1)
  expect(getsPerHit([100, 100], 0)).toBe(1.5)
  expect(getsPerHit([100, 100], 1000)).toBeCloseTo(1.0045)
  // The filter of the smaller file fits.
  expect(getsPerHit([10, 90], 20)).toBeCloseTo(1 + 0.9 * 0.009)
})

test('bytes a record are those of files that the library wrote', () => {
  for (const [records, partitions, measured] of [
    [1e6, 1, 11.837],
    [33_554_432, 1, 11.818],
  ] as const)
    expect(recordBytes(records, partitions) / measured).toBeCloseTo(1, 2)
})
