import { expect, test } from 'vitest'
import {
  chooseVersion,
  collected,
  keysByIdentity,
  withKeptPeriods,
  withVersion,
} from '../../../src/remote/versions.js'
import { thrownBy } from '../../support/thrown-by.js'
import { fileIn, manifestWith, publishedAt, TABLE } from './manifests.js'

const HOUR = 3_600_000

test('a version is the files from the one that it came with up to the one without it', () => {
  let remote = publishedAt(1000, ['a', 'b'])
  remote = withVersion(remote, { ...manifestWith(2000), files: [fileIn('b'), fileIn('c')] })
  remote = withVersion(remote, { ...manifestWith(3000), files: [fileIn('d')] })
  expect(remote.versions.map(({ version, at, supersededAt }) => [version, at, supersededAt])).toEqual([
    [1, 1000, 2000],
    [2, 2000, 3000],
    [3, 3000, undefined],
  ])
  const filesOf = (version: number): string[] =>
    remote.files
      .filter(({ since, until = Infinity }) => since <= version && version < until)
      .map(({ key }) => key.at(-8)!)
  expect([1, 2, 3].map(filesOf)).toEqual([['a', 'b'], ['b', 'c'], ['d']])
  expect([...keysByIdentity(remote).values()].map(key => key.at(-8))).toEqual(['d'])
})

test('who asks for a version that is not there is told of a few that are', () => {
  let remote = publishedAt(1000, ['a'])
  const told = (): unknown => {
    try {
      return chooseVersion(remote, 'here', { name: 'x' })
    } catch (error) {
      return (error as Error).message
    }
  }
  expect(told()).toBe(
    'here does not have a version named "x": there are versions 1, the oldest of 1970-01-01T00:00:01.000Z, and no names',
  )
  for (let version = 2; version <= 40; version++)
    remote = withVersion(remote, { ...manifestWith(1000 * version), files: [], name: named(version) })
  expect(told()).toContain('there are versions 1, 2, 3, ..., 38, 39, 40, the oldest of')
  expect(told()).toMatch(/ and the names "fourth"$/)
})

const named = (version: number): { readonly name: string } | undefined =>
  version === 4 ? { name: 'fourth' } : undefined

test('a version stays for the retention after the next one, to the millisecond, and the newest for ever', () => {
  let remote = publishedAt(1000, ['a'])
  remote = withVersion(remote, { ...manifestWith(2000), files: [fileIn('b')] })
  const before = collected(remote, 2000 + HOUR - 1, HOUR)
  expect(before).toEqual({ remote, dropped: [] })
  const after = collected(remote, 2000 + HOUR, HOUR)
  expect(after.remote.versions.map(({ version }) => version)).toEqual([2])
  expect(after.dropped).toEqual([fileIn('a').key])
  expect(collected(after.remote, 2 ** 50, 0)).toEqual({ remote: after.remote, dropped: [] })
})

test('a name keeps its version and no other one, until it expires or moves on', () => {
  let remote = publishedAt(1000, ['a'])
  const next = (at: number, key: string, name?: { name: string; expiresAt?: number }): void => {
    remote = withVersion(remote, { ...manifestWith(at), files: [fileIn(key)], name })
  }
  next(2000, 'b', { name: 'kept', expiresAt: 9000 })
  next(3000, 'c')
  next(4000, 'd')
  expect(collected(remote, 8999, 0).dropped).toEqual(['a', 'c'].map(key => fileIn(key).key))
  expect(collected(remote, 8999, 0).remote.versions.map(({ version }) => version)).toEqual([2, 4])
  expect(collected(remote, 9000, 0).dropped).toEqual(['a', 'b', 'c'].map(key => fileIn(key).key))
  expect(collected(remote, 9000, 0).remote.names).toEqual([])
  next(5000, 'e', { name: 'kept' })
  expect(remote.names).toEqual([{ name: 'kept', version: 5 }])
  expect(collected(remote, 2 ** 50, 0).dropped).toEqual(['a', 'b', 'c', 'd'].map(key => fileIn(key).key))
})

test('the last version of an hour, a day and a week stays as long as was asked for', () => {
  const DAY = 24 * HOUR
  const monday = Date.parse('2026-11-23T00:00:00Z')
  const keep = { hourly: 3, daily: 2, weekly: 1 }
  let remote = publishedAt(monday - 30 * 60_000, ['a'])
  const namesAfter = (at: number, asked: Parameters<typeof withKeptPeriods>[1] = keep): string[] => {
    const next = withVersion(remote, { ...manifestWith(at), files: [fileIn('b')] })
    remote = collected(withKeptPeriods(next, asked), at, 0).remote
    return remote.names.map(({ name, version }) => `${name}: ${version}`)
  }
  // The first millisecond of a week ends an hour, a day and a week.
  expect(namesAfter(monday - 1)).toEqual([])
  expect(namesAfter(monday)).toEqual([
    'hourly-2026-11-22T23: 2',
    'daily-2026-11-22: 2',
    'weekly-2026-11-16: 2',
  ])
  expect(namesAfter(monday + HOUR - 1)).toHaveLength(3)
  expect(namesAfter(monday + HOUR).at(-1)).toBe('hourly-2026-11-23T00: 4')
  expect(namesAfter(monday + 3 * HOUR - 1)).toEqual([
    'hourly-2026-11-22T23: 2',
    'daily-2026-11-22: 2',
    'weekly-2026-11-16: 2',
    'hourly-2026-11-23T00: 4',
    'hourly-2026-11-23T01: 5',
  ])
  expect(namesAfter(monday + 3 * HOUR)).not.toContain('hourly-2026-11-22T23: 2')
  // Versions without a name are forgotten, those with one are there.
  expect(remote.versions.map(({ version }) => version)).toEqual([2, 4, 5, 6, 7])
  // Days without a publish have no version of their own; the last one of them is kept from when it was replaced.
  expect(namesAfter(monday + 5 * DAY, { daily: 2 })).toEqual(['weekly-2026-11-16: 2', 'daily-2026-11-23: 7'])
  expect(namesAfter(monday + 7 * DAY - 1, {})).toEqual(['weekly-2026-11-16: 2'].concat('daily-2026-11-23: 7'))
  expect(namesAfter(monday + 7 * DAY, {})).toEqual([])
})

test('a file that versions share stays as long as one of them', () => {
  let remote = publishedAt(1000, ['a', 'b'])
  remote = withVersion(remote, { ...manifestWith(2000), files: [fileIn('b')], name: { name: 'x' } })
  remote = withVersion(remote, { ...manifestWith(3000), files: [fileIn('c')] })
  expect(collected(remote, 5000, 0).dropped).toEqual([fileIn('a').key])
})

test('a version is chosen by time, number and name, and the message says what there is', () => {
  let remote = publishedAt(1000, ['a'])
  remote = withVersion(remote, { ...manifestWith(2000), files: [fileIn('b')], name: { name: 'x' } })
  remote = withVersion(remote, { ...manifestWith(3000), files: [fileIn('c')] })
  const versionOf = (choice: Parameters<typeof chooseVersion>[2]): number =>
    chooseVersion(remote, 'sim://x', choice).version
  expect([1000, 1999, 2000, 2999, 3000, 2 ** 50].map(at => versionOf({ at }))).toEqual([1, 1, 2, 2, 3, 3])
  expect([versionOf({}), versionOf({ version: 1 }), versionOf({ name: 'x' })]).toEqual([3, 1, 2])
  for (const [choice, wanted] of [
    [{ at: 999 }, 'a version of 1970-01-01T00:00:00.999Z'],
    [{ version: 4 }, 'version 4'],
    [{ name: 'y' }, 'a version named "y"'],
  ] as const)
    expect(() => versionOf(choice)).toThrow(
      `sim://x does not have ${wanted}: there are versions 1, 2, 3, the oldest of 1970-01-01T00:00:01.000Z, and the names "x"`,
    )
  // The version in between is forgotten: that time is, too.
  remote = collected(remote, 4000, 0).remote
  expect(versionOf({ at: 2500 })).toBe(2)
  expect(() => versionOf({ at: 1500 })).toThrow('does not have')
})

test('the table of a version is that of its writer', () => {
  expect(publishedAt(1000, ['a']).table).toEqual(TABLE)
})

test('of the versions of a replica a hundred stay in the retention, and every moment has one', () => {
  let remote = publishedAt(0, ['a'])
  const stepMs = 10_000
  let now = 0
  let most = 0
  for (let step = 1; step <= 2000; step++) {
    now = step * stepMs
    const name = step === 500 ? { name: 'kept' } : undefined
    remote = withVersion(remote, { ...manifestWith(now), files: [fileIn('a')], name, replicated: true })
    remote = collected(remote, now, HOUR).remote
    most = Math.max(most, remote.versions.length)
  }
  // All of the last ten minutes, a hundredth of an hour each before, one with a name, and the ends.
  expect(most).toBeLessThanOrEqual(60 + 100 + 3)
  const { versions } = remote
  const recent = versions.filter(({ supersededAt = Infinity }) => supersededAt + 600_000 > now)
  expect(recent.length).toBeGreaterThanOrEqual(60)
  expect(versions[0]!.version).toBe(501)
  // What was published then, or a little before.
  for (let ago = 0; ago < HOUR; ago += 7000) {
    const chosen = chooseVersion(remote, 'here', { at: now - ago })
    expect(chosen.at).toBeLessThanOrEqual(now - ago)
    expect(chosen.at).toBeGreaterThan(now - ago - HOUR / 100 - stepMs)
  }
  // Versions that a program has published stay all.
  let published = publishedAt(0, ['a'])
  for (let at = 1000; at < 1_200_000; at += 1000)
    published = withVersion(published, { ...manifestWith(at), files: [fileIn('a')] })
  expect(collected(published, 1_200_000, HOUR).remote.versions).toHaveLength(1200)
})

test('of many versions and names a message lists some', () => {
  const remote = publishedAt(1000, ['a'])
  const versions = Array.from({ length: 20_000 }, (_, i) => ({ ...remote.versions[0]!, version: i + 1 }))
  const names = versions.map(({ version }) => ({ name: `n${version}`, version }))
  const choose = (): unknown => chooseVersion({ ...remote, versions, names }, 'sim://x', { name: 'y' })
  expect(choose).toThrow(
    /versions 1, 2, 3, \.\.\., 19998, 19999, 20000, the oldest .*"n1", "n2", "n3", \.\.\., .*"n20000"$/,
  )
  expect(String(thrownBy(choose)).length).toBeLessThan(1000)
})
