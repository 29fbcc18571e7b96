/** What a table has written over its life, from its event log: a curve of bounded length, and sums by kind of event. */
import type { LogEvent } from './event-log.js'

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

/** All events of one kind. */
export interface EventSum {
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
  /** Puts have waited for seals and merges, in all. */
  readonly putsWaitedMs: number
  /** Why the last life was poisoned, if no other life has followed. */
  readonly poisoned: string | undefined
  /** What a flush or merge waits for since when, if none has ended since. */
  readonly waiting: { readonly reason: string; readonly since: Date } | undefined
}

/** Reads all events once. `undefined`: there are none. */
export async function wearOf(events: AsyncIterable<LogEvent>): Promise<Wear | undefined> {
  const sums = new Map<string, { count: number; bytes: number; ms: number }>()
  const curve = new Curve()
  let [count, putsWaitedMs] = [0, 0]
  let poisoned: string | undefined
  let waiting: Wear['waiting']
  for await (const event of events) {
    count++
    const sum = sums.get(event.event) ?? { count: 0, bytes: 0, ms: 0 }
    sum.count++
    sum.bytes += event.bytes ?? 0
    sum.ms += event.ms ?? 0
    sums.set(event.event, sum)
    curve.add(event)
    const time = new Date(event.time)
    switch (event.event) {
      case 'wait':
        if (event.reason === 'space' || event.reason === 'resources')
          waiting = { reason: event.reason, since: waiting?.since ?? time }
        else putsWaitedMs += event.ms ?? 0
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
    putsWaitedMs,
    poisoned,
    waiting,
  }
}

/** Keeps the last event, and before it each `step`-th one: a step that doubles when there are too many. */
class Curve {
  readonly #kept: WearPoint[] = []
  #last: WearPoint | undefined
  #step = 1
  #seen = 0

  add({ time, put, written }: LogEvent): void {
    if (put === undefined || written === undefined) return
    const point = {
      time: new Date(time),
      put: put.bytes,
      log: written.wal,
      buckets: written.buckets,
      other: written.manifest + written.events,
    }
    if (Number.isNaN(point.time.getTime())) return
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
