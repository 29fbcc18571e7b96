/** What is tried on a real object store, a round at a time. docs/durability.md, How it is tested. */
import { strict as assert } from 'node:assert'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { collectGarbage, publishedTable, type ObjectStore } from '../../src/index.js'
import type { Random } from '../support/random.js'
import type { Ceph } from './ceph.js'
import { PublisherProcess } from './publisher.js'
import { checkPublished, openTable, put, restored } from './table.js'

export interface World {
  readonly ceph: Ceph
  /** Of its own, for tables. */
  readonly directory: string
  readonly random: Random
}

/** Something that is tried in rounds. */
export interface Trial {
  round(number: number): Promise<void>
  /** What came about, for the summary. */
  summary(): string
  end(): Promise<void>
}

const DAY_MS = 86_400_000
/** Retention in rounds where older versions must stay. */
const HOUR = '1h'

/** A publisher, the gateway that it uses, and the OSD are killed in turn, at any moment; publishes go on. */
export function kills({ ceph, directory, random }: World): Trial {
  const killed = { publisher: 0, rgw: 0, osd: 0 }
  const through = ceph.store('killed', 2)
  const start = (): PublisherProcess =>
    new PublisherProcess({
      ...ceph.location('killed', 1),
      directory: join(directory, 'table'),
      // A version stays while it is being restored.
      retention: '1m',
    })
  let publisher: PublisherProcess | undefined
  let published = 0
  return {
    async round(number) {
      publisher ??= start()
      // Publishes go on; what it told meanwhile is read first.
      for (const before = published; published <= before;)
        published = (await publisher.nextPublished()).sequence
      await wait(random.below(300))
      const victim = (['publisher', 'rgw', 'osd'] as const)[number % 3]!
      if (victim === 'publisher') {
        await publisher.kill()
        publisher = undefined
      } else {
        await ceph.kill(victim)
        await wait(random.below(500))
        await ceph.restart(victim)
      }
      killed[victim]++
      const copy = join(directory, 'copy')
      const { sequence } = await restored(through, copy)
      assert.ok(sequence >= published, 'what was published is there')
      published = sequence
      await rm(copy, { recursive: true })
      await checkPublished(through)
    },
    summary: () =>
      `killed ${killed.publisher} publishers, ${killed.rgw} gateways, ${killed.osd} OSDs; ${published} records`,
    async end() {
      await publisher?.kill()
      await through.close()
    },
  }
}

/** A publisher falls asleep at a random call; another machine takes over, publishes and collects; it wakes up. */
export function zombies({ ceph, directory, random }: World): Trial {
  const store = ceph.store('zombies', 2)
  let home = join(directory, 'first')
  let fenced = 0
  let zombie: PublisherProcess | undefined
  return {
    async round(number) {
      if (number === 0) await publishOnce(home, store, false)
      zombie = new PublisherProcess({
        ...ceph.location('zombies', 1),
        directory: home,
        retention: 0,
        stopAt: 1 + random.below(25),
        when: (['before', 'after', random.below(8)] as const)[random.below(3)]!,
      })
      await zombie.untilStopped()
      const next = join(directory, `copy-${number}`)
      const { seen, taken } = await takeOver(store, next)
      await collectGarbage(store, { retention: 0 })
      zombie.goOn()
      for (let isFenced = false; !isFenced;) {
        const line = await zombie.next()
        assert.ok(line !== undefined, 'the zombie ends only when it is fenced')
        if ('version' in line) assert.ok(line.version <= seen.version, 'what it published, it had before')
        else isFenced = line.code === 'FLASHTABLE_FENCED'
        if ('code' in line && !isFenced) assert.equal(line.code, 'FLASHTABLE_UNAVAILABLE', line.message)
      }
      assert.equal(await zombie.next(), undefined)
      zombie = undefined
      fenced++
      await checkPublished(store)
      const { versions } = await publishedTable(store)
      assert.deepEqual(versions.at(-1)!.version, taken.version, 'nothing was published since')
      await rm(home, { recursive: true })
      home = next
    },
    summary: () => `${fenced} publishers asleep, each fenced when it woke up`,
    async end() {
      await zombie?.kill()
      await store.close()
    },
  }
}

const RACERS = 8

/** Eight publishers at once, through two gateways: first each with a table of its own, then with copies of the winner's. */
export function racers({ ceph, directory }: World): Trial {
  let rounds = 0
  const race = async (
    name: string,
    refusal: string,
    prepare: (store: ObjectStore, home: string) => Promise<void>,
  ): Promise<void> => {
    const all = Array.from({ length: RACERS }, (_, racer) => ({
      store: ceph.store(name, racer % 2 === 0 ? 1 : 2),
      home: join(directory, `${refusal}-${racer}`),
    }))
    for (const { store, home } of all) await prepare(store, home)
    const tables = await Promise.all(all.map(({ home }) => openTable(home)))
    const takeOver = refusal === 'FLASHTABLE_FENCED'
    const results = await Promise.allSettled(
      tables.map(async (table, racer) => table.publish(all[racer]!.store, { takeOver })),
    )
    const codes = results.flatMap(result =>
      result.status === 'rejected' ? [(result.reason as { code?: string }).code] : [],
    )
    assert.deepEqual(codes, Array(RACERS - 1).fill(refusal), 'exactly one publishes')
    await Promise.all(tables.map(async table => table.close()))
    await checkPublished(all[0]!.store)
    for (const { store, home } of all) {
      await store.close()
      await rm(home, { recursive: true })
    }
  }
  return {
    async round(number) {
      const name = `race-${number}`
      await race(name, 'FLASHTABLE_EXISTS', async (_, home) => {
        const table = await openTable(home)
        await put(table, 100)
        await table.close()
      })
      await race(name, 'FLASHTABLE_FENCED', async (store, home) => {
        await restored(store, home)
        const table = await openTable(home)
        await put(table, 100)
        await table.close()
      })
      rounds++
    },
    summary: () => `${2 * rounds} races of ${RACERS} publishers through two gateways, each with one winner`,
    end: () => Promise.resolve(),
  }
}

/** Machines whose clocks are a day ahead, a day behind and right, one after the other; each collects garbage. */
export function clocks({ ceph, directory, random }: World): Trial {
  const store = ceph.store('clocks', 2)
  const first = Date.now()
  const wrong = [DAY_MS, 0, -DAY_MS]
  let machines = 0
  let publisher: PublisherProcess | undefined
  let last: { readonly version: number; readonly sequence: number } | undefined
  return {
    async round(number) {
      const home = join(directory, `machine-${number}`)
      if (number > 0) assert.deepEqual(await restored(store, home), last)
      publisher = new PublisherProcess({
        ...ceph.location('clocks', 1),
        directory: home,
        retention: HOUR,
        takeOver: number > 0,
        clockMs: wrong[number % wrong.length]! + random.below(1000),
        publishes: 2,
        collects: true,
      })
      for (let line = await publisher.next(); line !== undefined; line = await publisher.next()) {
        assert.ok('version' in line, `a clock that is off stops nobody: ${JSON.stringify(line)}`)
        last = line
      }
      publisher = undefined
      machines++
      const { versions } = await publishedTable(store)
      // Within the hour nothing is forgotten, and all times are those of the store.
      const isYoung = Date.now() - first < 3_500_000
      if (isYoung) assert.equal(versions.length, 2 * machines, 'no version was forgotten early')
      const times = versions.map(({ at }) => Number(at))
      for (const [at, time] of times.entries()) {
        assert.ok(time >= first - 60_000 && time <= Date.now() + 60_000, 'the time is that of the store')
        assert.ok(time >= (times[at - 1] ?? 0), 'times ascend')
      }
      await checkPublished(store)
      await rm(home, { recursive: true })
    },
    summary: () =>
      `${machines} machines with clocks a day ahead, right and a day behind; nothing forgotten early`,
    async end() {
      await publisher?.kill()
      await store.close()
    },
  }
}

/** Restores the table and takes over. A swap of the publisher that is asleep may have been on its way, and be done in between. */
async function takeOver(
  store: ObjectStore,
  home: string,
): Promise<{ readonly seen: { readonly version: number }; readonly taken: { readonly version: number } }> {
  for (let attempt = 1; ; attempt++) {
    const seen = await restored(store, home)
    try {
      return { seen, taken: await publishOnce(home, store, true) }
    } catch (error) {
      if (attempt > 1 || (error as { code?: unknown }).code !== 'FLASHTABLE_FENCED') throw error
      await rm(home, { recursive: true })
    }
  }
}

async function publishOnce(
  home: string,
  store: ObjectStore,
  takeOver: boolean,
): Promise<{ readonly version: number; readonly sequence: number }> {
  const table = await openTable(home)
  try {
    await put(table, 100)
    return await table.publish(store, { takeOver, retention: 0 })
  } finally {
    await table.close()
  }
}
