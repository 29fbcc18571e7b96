import { expect, test } from 'vitest'
import type { EventName, LoggedEvent } from '../../../../../src/index.js'
import { wearOf } from '../../../../../tools/cli/report/wear.js'

const START = Date.UTC(2026, 0, 1)

function event(minute: number, name: EventName, changes: Partial<LoggedEvent> = {}): LoggedEvent {
  return {
    time: new Date(START + minute * 60_000).toISOString(),
    event: name,
    files: 1,
    put: { records: minute, bytes: 16 * minute },
    written: { wal: 8 * minute, buckets: 12 * minute, manifest: minute, events: minute },
    ...changes,
  }
}

async function* from(events: Iterable<LoggedEvent>): AsyncGenerator<LoggedEvent> {
  yield* events
}

test('a log without events is none', async () => {
  expect(await wearOf(from([]))).toBeUndefined()
})

test('events become a curve of sums, and sums by kind and reason, those that wrote most first', async () => {
  const wear = await wearOf(
    from([
      event(0, 'open'),
      event(1, 'flush', { reason: 'full', bytes: 100, ms: 5 }),
      event(2, 'merge', { reason: 'garbage', bytes: 300, ms: 9 }),
      event(3, 'flush', { reason: 'full', bytes: 200, ms: 6, times: 2 }),
    ]),
  )
  expect(wear).toMatchObject({ events: 5, poisoned: undefined, waiting: undefined })
  expect(wear!.points).toHaveLength(4)
  expect(wear!.points.at(-1)).toEqual({
    time: new Date(START + 180_000),
    put: 48,
    log: 24,
    buckets: 36,
    other: 6,
  })
  expect(wear!.sums).toEqual([
    { event: 'flush: full', count: 3, bytes: 300, ms: 11 },
    { event: 'merge: garbage', count: 1, bytes: 300, ms: 9 },
    { event: 'open', count: 1, bytes: 0, ms: 0 },
  ])
})

test('the curve of a long life has a bounded number of points, the first and the last among them', async () => {
  const events = Array.from({ length: 100_000 }, (_, minute) => event(minute, 'seal'))
  const { points } = (await wearOf(from(events)))!
  expect(points.length).toBeGreaterThan(190)
  expect(points.length).toBeLessThanOrEqual(401)
  expect(points[0]!.put).toBe(0)
  expect(points.at(-1)!.put).toBe(16 * 99_999)
  const distances = new Set(points.slice(1, -1).map(({ put }, i) => put - points[i]!.put))
  expect(distances.size).toBe(1)
})

test('a clock that was set back does not fold the curve', async () => {
  const { points } = (await wearOf(from([event(5, 'open'), event(3, 'flush'), event(4, 'close')])))!
  expect(points.map(({ put }) => put)).toEqual([48, 64, 80])
})

test('a poisoned life is told until the next open', async () => {
  const life = [event(0, 'open'), event(1, 'poisoned', { reason: 'EIO' })]
  expect((await wearOf(from(life)))!.poisoned).toBe('EIO')
  expect((await wearOf(from([...life, event(2, 'open')])))!.poisoned).toBeUndefined()
})

test('a wait for space is told until a merge has ended', async () => {
  const waits = [
    event(1, 'wait', { reason: 'space' }),
    event(2, 'wait', { reason: 'space' }),
    event(3, 'wait', { reason: 'resources' }),
  ]
  expect(await wearOf(from(waits))).toMatchObject({
    waiting: { reason: 'resources', since: new Date(START + 60_000) },
  })
  for (const name of ['flush', 'merge', 'compact', 'close', 'open'] as const)
    expect((await wearOf(from([...waits, event(4, name)])))!.waiting).toBeUndefined()
})
