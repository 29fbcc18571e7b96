/**
 * The calls that write a table with partitions: each checks all that it was given, then hands every partition its part. A
 * call is atomic within a partition only. docs/internals.md, Partitions.
 */
import { atOnce } from '../async/at-once.js'
import { outOfRange } from '../base/errors.js'
import { appendOperations } from '../encoding/given-operations.js'
import type { Column, OwnColumn } from '../encoding/field-type.js'
import type { FlashTable } from '../flash-table.js'
import {
  optionalBoolean,
  optionalSignal,
  readOptions,
  refuseExtra,
  unexpected,
} from '../options/arguments.js'
import { keyLanesOf, OperationBuffer } from '../records/operations.js'
import { optionalDuration, optionalInterval } from '../options/duration.js'
import { optionalKeep } from '../options/kept-periods.js'
import { readPutColumnsOptions, readSync } from '../table/call-options.js'
import type { PublishOptions } from '../table/publish.js'
import type { ReplicateOptions } from '../table/replicate.js'
import { gatherRows } from './part-columns.js'
import type { Partition } from './partition.js'
import { PartitionedReplica, type ReplicatedPartition } from './partitioned-replica.js'
import { allEnded, type PartitionsInUse } from './partitions-in-use.js'

type Extra = readonly unknown[]

/** Publishes side by side: each uploads its files one after another. */
const PUBLISHES_AT_ONCE = 4

const REFRESH_OPTIONS = { atLeast: optionalVersions, signal: optionalSignal }
const COMPACT_OPTIONS = { signal: optionalSignal }
const SYNC_OPTIONS = { sync: optionalBoolean }
/** Each partition checks them. */
const asGiven = (value: unknown): unknown => value
const REPLICATE_OPTIONS = {
  interval: optionalInterval,
  retention: optionalDuration,
  keep: optionalKeep,
  signal: optionalSignal,
}
const PUBLISH_OPTIONS = {
  name: asGiven,
  expires: asGiven,
  retention: asGiven,
  keep: asGiven,
  signal: optionalSignal,
}

/** Options of `publish`: those of a table, for each partition that is written here. */
export type PartitionedPublishOptions = Pick<
  PublishOptions,
  'name' | 'expires' | 'retention' | 'keep' | 'signal'
>

/** Options of `replicate`: those of a table, for each partition that is written here. */
export type PartitionedReplicateOptions = Omit<ReplicateOptions, 'takeOver'>

/** What `publish` has done. */
export interface PartitionedPublishResult {
  /** The number of the version of each partition; 0: it is not written here. What `refresh({ atLeast })` takes elsewhere. */
  readonly versions: readonly number[]
  /** Of bucket files. */
  readonly uploadedBytes: number
  readonly uploadedFiles: number
}

/** The rows of one partition. */
export interface ColumnsOfPartition {
  readonly partition: number
  /** Which rows of the whole they are, ascending. */
  readonly rows: Uint32Array<ArrayBuffer>
  readonly columns: Readonly<Record<string, OwnColumn>>
}

export class PartitionedWrites {
  readonly #use: PartitionsInUse
  /** The most records of a batch, in each partition. */
  readonly #rowsMax: number

  constructor(use: PartitionsInUse, rowsMax: number) {
    this.#use = use
    this.#rowsMax = rowsMax
  }

  /** A call for one key. */
  async row<T>(call: string, key: unknown, write: (table: FlashTable) => Promise<T>): Promise<T> {
    this.#use.assertOpen()
    return this.#use.ofKey(key).write(call, write)
  }

  async delWhere(where: unknown, options: unknown, extra: Extra): Promise<void> {
    const { schema, written } = this.#use
    this.#begin('delWhere', extra)
    const { sync = false } = readOptions('delWhere', options, SYNC_OPTIONS)
    if (schema.combine === undefined) schema.whereLanes(where)
    for (const partition of written) partition.checkWritable('delWhere')
    await allEnded(
      written.map(partition =>
        partition.write('delWhere', table => table.delWhere(where as never, { sync })),
      ),
    )
  }

  async batch(operations: unknown, options: unknown, extra: Extra): Promise<void> {
    this.#begin('batch', extra)
    const sync = options === undefined ? false : readSync('batch', options)
    const { schema, ranges } = this.#use
    const { layout } = schema
    const all = new OperationBuffer(layout)
    appendOperations(all, schema, operations)
    // Checked again: a custom encoding may have closed the table.
    this.#use.assertOpen()
    const parts = ranges.split(keyLanesOf(all, layout.keyLaneCount), all.count)
    const partitions = this.#checkParts('batch', parts)
    if (parts.length === 0) return this.#barrier(sync)
    await allEnded(
      parts.map(({ rows }, i) => {
        const operations = new OperationBuffer(layout, rows.length)
        operations.gather(all, rows)
        return partitions[i]!.write('batch', table =>
          table.commitOperations({ operations, deletes: [] }, sync),
        )
      }),
    )
  }

  async putColumns(
    columns: unknown,
    options: unknown,
    extra: Extra,
  ): Promise<void | Uint8Array<ArrayBuffer>> {
    this.#begin('putColumns', extra)
    const { sync = false, ifAbsent = false } = readPutColumnsOptions(options)
    const { parts, rows } = this.#split(columns)
    const partitions = this.#checkParts('putColumns', parts)
    if (parts.length === 0) await this.#barrier(sync)
    const were = ifAbsent ? new Uint8Array(rows) : undefined
    await allEnded(
      parts.map(({ rows, columns }, i) =>
        partitions[i]!.write('putColumns', async table => {
          const put = await table.putColumns(columns as never, { sync, ifAbsent })
          if (put !== undefined) for (let at = 0; at < rows.length; at++) were![rows[at]!] = put[at]!
        }),
      ),
    )
    return were
  }

  splitColumns(columns: unknown, extra: Extra): ColumnsOfPartition[] {
    this.#use.assertOpen()
    refuseExtra('splitColumns', extra)
    return this.#split(columns).parts
  }

  async sync(extra: Extra): Promise<void> {
    this.#begin('sync', extra)
    await this.#barrier(true)
  }

  /** One after another: a merge uses the whole disk. */
  async compact(options: unknown, extra: Extra): Promise<void> {
    this.#begin('compact', extra)
    const { signal } = readOptions('compact', options, COMPACT_OPTIONS)
    for (const partition of this.#use.written)
      await partition.write('compact', table => table.compact({ signal }))
  }

  /** Each is published, also if another one fails. */
  async publish(options: unknown, extra: Extra): Promise<PartitionedPublishResult> {
    this.#begin('publish', extra)
    const given = readOptions('publish', options, PUBLISH_OPTIONS) as PartitionedPublishOptions
    const { all, written } = this.#use
    const versions = all.map(() => 0)
    let [uploadedBytes, uploadedFiles] = [0, 0]
    const failures: unknown[] = []
    await atOnce(written.length, PUBLISHES_AT_ONCE, async i => {
      const partition = written[i]!
      try {
        const result = await partition.publish(given)
        versions[partition.number] = result.version
        uploadedBytes += result.uploadedBytes
        uploadedFiles += result.uploadedFiles
      } catch (error) {
        failures.push(error)
      }
    })
    if (failures.length > 0) throw failures[0]
    return { versions, uploadedBytes, uploadedFiles }
  }

  /** Rejects with the first failure, and then none is replicated. */
  async replicate(options: unknown, extra: Extra): Promise<PartitionedReplica> {
    this.#begin('replicate', extra)
    const given = readOptions('replicate', options, REPLICATE_OPTIONS) as PartitionedReplicateOptions
    const { written } = this.#use
    const replicas: ReplicatedPartition[] = []
    try {
      await atOnce(written.length, PUBLISHES_AT_ONCE, async i => {
        const partition = written[i]!
        replicas.push({ partition, replica: await partition.replicate(given) })
      })
    } catch (error) {
      await Promise.allSettled(replicas.map(({ replica }) => replica.close()))
      throw error
    }
    return new PartitionedReplica(replicas.sort((a, b) => a.partition.number - b.partition.number))
  }

  /** Moves the partitions on that are written elsewhere. */
  async refresh(options: unknown, extra: Extra): Promise<void> {
    this.#use.assertOpen()
    refuseExtra('refresh', extra)
    const { atLeast, signal } = readOptions('refresh', options, REFRESH_OPTIONS)
    const { all } = this.#use
    if (atLeast !== undefined && atLeast.length !== all.length)
      throw outOfRange(
        'FLASHTABLE_INVALID_OPTION',
        `option 'atLeast': expected a version for each of ${all.length} partitions, found ${atLeast.length}`,
      )
    await allEnded(all.map(partition => partition.refresh(atLeast?.[partition.number] ?? 0, signal)))
  }

  async #barrier(sync: boolean): Promise<void> {
    if (!sync) return
    await allEnded(this.#use.written.map(partition => partition.write('sync', table => table.sync())))
  }

  #begin(call: string, extra: Extra): void {
    this.#use.assertWrites(call)
    refuseExtra(call, extra)
  }

  /** Throws before anything is written if one of the parts cannot be. */
  #checkParts(
    call: string,
    parts: readonly { readonly partition: number; readonly rows: Uint32Array }[],
  ): readonly Partition[] {
    const partitions = parts.map(({ partition }) => this.#use.all[partition]!)
    for (const partition of partitions) partition.checkWritable(call)
    const large = parts.find(({ rows }) => rows.length > this.#rowsMax)
    if (large === undefined) return partitions
    throw outOfRange(
      'FLASHTABLE_INVALID_VALUE',
      `${call}: a batch holds at most bufferBytes, here ${this.#rowsMax} records for each partition; found ` +
        `${large.rows.length} for partition ${large.partition}: use smaller batches`,
    )
  }

  #split(columns: unknown): { readonly parts: ColumnsOfPartition[]; readonly rows: number } {
    const { schema, ranges } = this.#use
    const { key, values, rows } = schema.checkColumns(columns)
    const { lanes } = schema.keysToLanes(key)
    const parts = ranges.split(lanes, rows).map(({ partition, rows }) => {
      const own: Record<string, OwnColumn> = { key: gatherRows(key, schema.keyRowLength, rows) }
      for (const { field, column } of values)
        own[field.name] = gatherRows(column as Column, field.type.rowLength, rows)
      return { partition, rows: rows.slice(), columns: own }
    })
    return { parts, rows }
  }
}

/** A version for each partition, as `publish` resolves to. */
function optionalVersions(value: unknown, name: string): readonly number[] | undefined {
  if (value === undefined) return undefined
  const isFine =
    Array.isArray(value) &&
    value.every(version => typeof version === 'number' && Number.isSafeInteger(version) && version >= 0)
  if (isFine) return value.map(Number)
  throw unexpected(name, 'the versions of a publish, an array of whole numbers from 0', value)
}
