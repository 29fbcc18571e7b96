import { expect, test } from 'vitest'
import { chooseVersion, collected, keysByIdentity, withVersion } from '../../../src/remote/versions.js'
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
    /versions 1, 2, .*, 10, \.\.\. \(19980 more\), 19991, .*, 20000, the oldest .*"n20000"$/,
  )
  expect(String(thrownBy(choose)).length).toBeLessThan(1000)
})
