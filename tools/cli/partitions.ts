/**
 * A store with a table with partitions, as the commands see it: each partition is a published table of its own, below the
 * URL. What a command does of one published table it does of each, and one that fails does not hide the others.
 */
import { throwIfAborted } from '../../src/async/abort.js'
import { atOnce } from '../../src/async/at-once.js'
import { FlashTableError, hasCode } from '../../src/base/errors.js'
import type { ObjectStore } from '../../src/index.js'
import { loadPartitions } from '../../src/partitions/agree.js'
import { partitionName } from '../../src/partitions/key-ranges.js'
import type { PartitionsObject } from '../../src/partitions/partitions-object.js'
import { loadRemote } from '../../src/remote/pointer.js'
import { closing } from './closing.js'
import { failureOf } from './failure.js'
import { interruptible } from './interrupt.js'
import { EXIT, report, textTable } from './output.js'
import { openStore, type StoreTexts } from './store.js'
import { countText } from './words.js'

/** A partition, and where it is published. */
export interface PartitionPlace {
  readonly partition: number
  /** Its number as errors and addresses have it: `0a`. */
  readonly name: string
  readonly store: ObjectStore
}

/** What became of one partition: a result, a failure, or neither, because nobody has published it. */
export interface Outcome<Result> extends PartitionPlace {
  readonly result?: Result
  readonly failure?: { readonly code: string; readonly message: string }
}

/** What a command does at a URL: of one published table, or of all partitions. */
export interface AtUrl<One, Many> {
  readonly one: (store: ObjectStore, signal: AbortSignal) => Promise<One>
  readonly many: (partitions: readonly PartitionPlace[], signal: AbortSignal) => Promise<Many>
}

/** Runs `one`, or `many` if there is a table with partitions: which of them it was is told. */
export async function atUrl<One, Many>(
  url: string,
  texts: StoreTexts,
  { one, many }: AtUrl<One, Many>,
): Promise<{ readonly url: string } & ({ readonly one: One } | { readonly many: Many })> {
  const store = await openStore(url, texts)
  return interruptible(signal =>
    closing(store, async () => {
      const found = await publishedOr(store, signal, () => one(store, signal))
      if ('result' in found) return { url: store.url, one: found.result }
      return { url: store.url, many: await many(placesOf(store, found.partitions), signal) }
    }),
  )
}

/** Runs `work` on what is published there, or tells how the table there is divided into partitions. */
export async function publishedOr<Result>(
  store: ObjectStore,
  signal: AbortSignal,
  work: () => Promise<Result>,
): Promise<{ readonly result: Result } | { readonly partitions: PartitionsObject }> {
  try {
    return { result: await work() }
  } catch (error) {
    if (!hasCode(error, 'FLASHTABLE_NOT_FOUND')) throw error
    const partitions = await loadPartitions(store, signal)
    if (partitions === undefined) throw error
    return { partitions }
  }
}

export function placesOf(store: ObjectStore, { partitions: count }: PartitionsObject): PartitionPlace[] {
  return Array.from({ length: count }, (_, partition) => {
    const name = partitionName(partition, count)
    return { partition, name, store: store.below(`p/${name}`) }
  })
}

/** Runs `work` on each partition, `most` at once. Rejects for wrong usage, and with the reason of the signal. */
export async function ofEach<Result>(
  partitions: readonly PartitionPlace[],
  signal: AbortSignal,
  most: number,
  work: (place: PartitionPlace) => Promise<Result>,
): Promise<Outcome<Result>[]> {
  const outcomes: Outcome<Result>[] = []
  await atOnce(partitions.length, most, async i => {
    const place = partitions[i]!
    throwIfAborted(signal)
    try {
      outcomes[i] = { ...place, result: await work(place) }
    } catch (error) {
      throwIfAborted(signal)
      if (!(error instanceof FlashTableError)) throw error
      if (hasCode(error, 'FLASHTABLE_NOT_FOUND') && (await isEmpty(place, signal))) outcomes[i] = place
      else {
        const { code, message } = failureOf(error)
        outcomes[i] = { ...place, failure: { code, message } }
      }
    }
  })
  return outcomes
}

/** Whether nobody has published it. What cannot be read is there. */
async function isEmpty({ store }: PartitionPlace, signal: AbortSignal): Promise<boolean> {
  return loadRemote(store, { signal }).then(
    state => state === undefined,
    () => false,
  )
}

/** The results, those that there are. */
export function resultsOf<Result>(outcomes: readonly Outcome<Result>[]): Result[] {
  return outcomes.flatMap(({ result }) => result ?? [])
}

export function sumOf<Result>(
  outcomes: readonly Outcome<Result>[],
  value: (result: Result) => number,
): number {
  return resultsOf(outcomes).reduce((sum, result) => sum + value(result), 0)
}

/** How a command shows what became of the partitions. */
export interface Shown<Result> {
  /** As JSON: of one, beside its number and address. */
  readonly json: (result: Result) => object
  /** Sums of the results, in JSON. */
  readonly total: object
  readonly head: readonly string[]
  /** Rows of one, without its name; none: the partition is not named. */
  readonly rows: (result: Result) => readonly (readonly string[])[]
  /** Below the table, before the sums. */
  readonly lines?: readonly string[]
  readonly sums: string
}

/** Prints it; the exit code is 1 if one has failed. */
export function reportPartitions<Result>(
  json: boolean | undefined,
  url: string,
  outcomes: readonly Outcome<Result>[],
  shown: Shown<Result>,
): void {
  const failed = outcomes.filter(({ failure }) => failure !== undefined)
  const published = outcomes.length - outcomes.filter(isUnpublished).length
  report(
    json,
    {
      url,
      partitions: outcomes.map(outcome => {
        const { partition, store, result, failure } = outcome
        const place = { partition, url: store.url, published: !isUnpublished(outcome) }
        if (failure !== undefined) return { ...place, error: failure }
        return result === undefined ? place : { ...place, ...shown.json(result) }
      }),
      total: { partitions: outcomes.length, published, failed: failed.length, ...shown.total },
    },
    () =>
      [
        textTable(['partition', ...shown.head], tableRows(outcomes, shown)),
        '',
        ...(shown.lines ?? []),
        ...failed.map(({ name, failure }) => `partition ${name}: ${failure!.code}: ${failure!.message}`),
        `${countsText(outcomes.length, published, failed.length)}: ${shown.sums}`,
      ].join('\n'),
  )
  if (failed.length > 0) process.exitCode = EXIT.failed
}

function isUnpublished({ result, failure }: Outcome<unknown>): boolean {
  return result === undefined && failure === undefined
}

function tableRows<Result>(outcomes: readonly Outcome<Result>[], { head, rows }: Shown<Result>): string[][] {
  return outcomes.flatMap(({ name, result, failure }) => {
    if (result !== undefined) return rows(result).map(cells => [name, ...cells])
    // The first column is a state, a time or a text.
    const state = failure === undefined ? 'not published' : 'failed'
    return [[name, state, ...head.slice(1).map(() => '')]]
  })
}

/** `4 partitions, 1 not published, 1 failed`. */
export function countsText(partitions: number, published: number, failed: number): string {
  const others = [
    ...(published === partitions ? [] : [`${partitions - published} not published`]),
    ...(failed === 0 ? [] : [`${failed} failed`]),
  ]
  return [countText(partitions, 'partition'), ...others].join(', ')
}
