/**
 * Recognises a clip by its fingerprints, as music recognisers do: all keys are looked up, and the hits vote.
 *
 * Where the clip is an excerpt of a track, stored time minus clip time is the same for all true hits. So each hit
 * votes for its (track, offset) pair, and chance spreads the false ones thinly (Wang 2003, "An Industrial-Strength
 * Audio Search Algorithm"). README.md, Demo.
 */

/** All hits of all keys of a clip, as `table.getColumns(clip.key)` gives them. */
export interface Hits {
  /** Which key of the clip was hit. */
  readonly query: Uint32Array
  /** Where in the track, in frames. */
  readonly time: Uint16Array
  /** The track. */
  readonly id: Int32Array
}

/** The pair with most votes. */
export interface Match {
  readonly id: number
  /** Where in the track the clip begins, in frames. */
  readonly offset: number
  readonly votes: number
}

/** Frames that share a vote: two, since the clip's frames lie between those of the track. */
const STEP_FRAMES = 2

/**
 * Fewer votes than this are no match.
 *
 * Music repeats itself, so a wrong track collects a few votes, too: with the clips of test/fixtures at most 3, while
 * the right one has 14 to 206. Six is twice the 3 and less than half of the 14.
 */
export const MINIMUM_VOTES = 6

/** The best match of all hits, whatever its votes; `undefined` if there is no hit. `times`: of the clip's keys. */
export function bestMatch(hits: Hits, times: Uint16Array): Match | undefined {
  const votes = new Map<number, number>()
  let best: { pair: number; votes: number } | undefined
  for (let hit = 0; hit < hits.query.length; hit++) {
    const step = Math.floor((hits.time[hit]! - times[hits.query[hit]!]!) / STEP_FRAMES)
    const pair = hits.id[hit]! * OFFSET_SPAN + step + OFFSET_SPAN / 2
    const count = (votes.get(pair) ?? 0) + 1
    votes.set(pair, count)
    if (best === undefined || count > best.votes) best = { pair, votes: count }
  }
  if (best === undefined) return undefined
  const id = Math.floor(best.pair / OFFSET_SPAN)
  const step = best.pair - id * OFFSET_SPAN - OFFSET_SPAN / 2
  return { id, offset: step * STEP_FRAMES, votes: best.votes }
}

/** The track that the clip is an excerpt of; `undefined` if no pair has {@link MINIMUM_VOTES}. */
export function recognise(hits: Hits, times: Uint16Array): Match | undefined {
  const match = bestMatch(hits, times)
  return match !== undefined && match.votes >= MINIMUM_VOTES ? match : undefined
}

/** More steps than two u16 times can lie apart, in both directions: (id, step) becomes one number. */
const OFFSET_SPAN = 65_536
