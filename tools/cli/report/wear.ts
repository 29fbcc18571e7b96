/** What a table has written over its life, from its event log: a curve of bounded length, and sums by kind of event. */
import type { LatencyStats, LoggedEvent } from '../../../src/index.js'

/** The most points of the curve. Of more events, points at even distances are kept. */
const POINTS_MAX = 400

/** Sums from the creation of the table up to this time, in bytes. */
export interface WearPoint {
  readonly time: Date
  readonly put: number
  readonly log: number
  readonly buckets: number
  /** Manifest and event log. */
  readonly other: number
}

/** All events of one kind and reason. */
export interface EventSum {
  /** `merge: level-full`; failures are all `poisoned`. */
  readonly event: string
  readonly count: number
  readonly bytes: number
  readonly ms: number
}

export interface Wear {
  readonly events: number
  /** Ascending in time. */
  readonly points: readonly WearPoint[]
  readonly sums: readonly EventSum[]
  /** Why the last life was poisoned, if no other life has followed. */
  readonly poisoned: string | undefined
  /** How long things took in the last life that measured it, and when that was told. */
  readonly latency: { readonly stats: LatencyStats; readonly time: Date } | undefined
  /** What a flush or merge waits for since when, if none has ended since. */
  readonly waiting: { readonly reason: string; readonly since: Date } | undefined
}

/** Reads all events once. `undefined`: there are none. */
export async function wearOf(events: AsyncIterable<LoggedEvent>): Promise<Wear | undefined> {
  const sums = new Map<string, { count: number; bytes: number; ms: number }>()
  const curve = new Curve()
  let count = 0
  let poisoned: string | undefined
  let waiting: Wear['waiting']
  let latency: Wear['latency']
  for await (const event of events) {
    const { times = 1 } = event
    count += times
    const kind = kindOf(event)
    const sum = sums.get(kind) ?? { count: 0, bytes: 0, ms: 0 }
    sum.count += times
    sum.bytes += event.bytes ?? 0
    sum.ms += event.ms ?? 0
    sums.set(kind, sum)
    curve.add(event)
    const time = new Date(event.time)
    if (event.latency !== undefined) latency = { stats: event.latency, time }
    switch (event.event) {
      case 'wait':
        waiting = { reason: event.reason ?? 'resources', since: waiting?.since ?? time }
        break
      case 'poisoned':
        poisoned = event.reason ?? 'the reason is not known'
        break
      case 'open':
        poisoned = undefined
        waiting = undefined
        break
      case 'flush':
      case 'merge':
      case 'compact':
      case 'close':
        waiting = undefined
        break
      default:
    }
  }
  if (count === 0) return undefined
  return {
    events: count,
    points: curve.points(),
    sums: [...sums]
      .map(([event, sum]) => ({ event, ...sum }))
      .sort((a, b) => b.bytes - a.bytes || b.count - a.count),
    poisoned,
    latency,
    waiting,
  }
}

function kindOf({ event, reason }: LoggedEvent): string {
  return reason === undefined || event === 'poisoned' ? event : `${event}: ${reason}`
}

/** Keeps the last event, and before it each `step`-th one: a step that doubles when there are too many. */
class Curve {
  readonly #kept: WearPoint[] = []
  #last: WearPoint | undefined
  #step = 1
  #seen = 0

  add({ time, put, written }: LoggedEvent): void {
    const point = {
      time: new Date(time),
      put: put.bytes,
      log: written.wal,
      buckets: written.buckets,
      other: written.manifest + written.events,
    }
    this.#last = point
    if (this.#seen++ % this.#step !== 0) return
    this.#kept.push(point)
    if (this.#kept.length < POINTS_MAX) return
    this.#kept.splice(0, this.#kept.length, ...this.#kept.filter((_, i) => i % 2 === 0))
    this.#step *= 2
  }

  /** A clock that was set back must not fold the curve. */
  points(): WearPoint[] {
    const all = this.#last === undefined || this.#kept.at(-1) === this.#last ? [] : [this.#last]
    return [...this.#kept, ...all].sort((a, b) => a.time.getTime() - b.time.getTime())
  }
}
