import { describe, expect, test } from 'vitest'
import { FRAMES_PER_SECOND, readClips, readFingerprints } from '../../../../tools/demo/fixtures.js'
import { bestMatch, MINIMUM_VOTES, recognise, type Hits } from '../../../../tools/demo/recognise.js'

/** What `getColumns` of a table with all fingerprints gives, by a plain scan. */
function lookUp(keys: BigUint64Array): Hits {
  const hits: [query: number, time: number, id: number][] = []
  for (const [query, key] of keys.entries()) {
    for (const row of rowsByKey.get(key) ?? []) hits.push([query, records.time[row]!, records.id[row]!])
  }
  return {
    query: Uint32Array.from(hits, hit => hit[0]),
    time: Uint16Array.from(hits, hit => hit[1]),
    id: Int32Array.from(hits, hit => hit[2]),
  }
}

const records = readFingerprints()
const rowsByKey = new Map<bigint, number[]>()
for (const [row, key] of records.key.entries()) {
  const rows = rowsByKey.get(key)
  if (rows === undefined) rowsByKey.set(key, [row])
  else rows.push(row)
}

describe('the recogniser', () => {
  test('finds no match without hits', () => {
    expect(bestMatch(lookUp(new BigUint64Array([9_999_999n])), Uint16Array.of(0))).toBeUndefined()
  })

  test('answers with the track and the offset on which most hits agree', () => {
    const times = Uint16Array.from({ length: 10 }, (_, row) => row * 10)
    const hits = {
      query: Uint32Array.from({ length: 10 }, (_, row) => row),
      // Eight agree on offset 500 of track 7; two stray ones do not.
      time: Uint16Array.from({ length: 10 }, (_, row) => (row < 8 ? 500 + row * 10 : 3)),
      id: Int32Array.from({ length: 10 }, (_, row) => (row < 9 ? 7 : 8)),
    }
    expect(recognise(hits, times)).toEqual({ id: 7, offset: 500, votes: 8 })
  })

  test('keeps tracks apart that have the same offsets', () => {
    const hits = {
      query: new Uint32Array(10),
      time: new Uint16Array(10).fill(65_535),
      id: Int32Array.from({ length: 10 }, (_, row) => row % 2),
    }
    expect(bestMatch(hits, Uint16Array.of(0))?.votes).toBe(5)
    expect(recognise(hits, Uint16Array.of(0))).toBeUndefined()
  })

  test('tells a clip that begins before the track does by a negative offset', () => {
    const hits = {
      query: new Uint32Array(6),
      time: new Uint16Array(6).fill(10),
      id: new Int32Array(6).fill(-3),
    }
    expect(recognise(hits, Uint16Array.of(30))).toEqual({ id: -3, offset: -20, votes: 6 })
  })

  test('keeps the steps before the start of the track as wide as those behind it', () => {
    const hits = { query: new Uint32Array(2), time: Uint16Array.of(9, 11), id: new Int32Array(2) }
    expect(bestMatch(hits, Uint16Array.of(10))?.votes).toBe(1)
  })

  test('recognises the 14 clips that have a track, at the right second, and not the 2 without', () => {
    const clips = readClips()
    const answers = clips.map(clip => recognise(lookUp(clip.key), clip.time))
    expect(answers.map(answer => answer?.id ?? null)).toEqual(clips.map(clip => clip.track))
    for (const [at, clip] of clips.entries()) {
      if (clip.track === null) continue
      const seconds = answers[at]!.offset / FRAMES_PER_SECOND
      expect(Math.abs(seconds - clip.startSeconds)).toBeLessThan(0.1)
    }
  })

  test('has its threshold well between the votes of wrong tracks (3) and of right ones (14 to 206)', () => {
    const right: number[] = []
    const wrong: number[] = []
    for (const clip of readClips()) {
      const hits = lookUp(clip.key)
      if (clip.track !== null) right.push(bestMatch(hits, clip.time)!.votes)
      const others = [...hits.id.keys()].filter(hit => hits.id[hit] !== clip.track)
      const match = bestMatch(
        {
          query: Uint32Array.from(others, hit => hits.query[hit]!),
          time: Uint16Array.from(others, hit => hits.time[hit]!),
          id: Int32Array.from(others, hit => hits.id[hit]!),
        },
        clip.time,
      )
      wrong.push(match!.votes)
    }
    expect([Math.min(...right), Math.max(...right)]).toEqual([14, 206])
    expect(Math.max(...wrong)).toBe(3)
    expect(MINIMUM_VOTES).toBe(6)
  })
})
