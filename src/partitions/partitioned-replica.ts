/** Replicas of the partitions that a process writes, as one. docs/api.md, Partitions. */
import { optionalSignal, readOptions, refuseExtra } from '../options/arguments.js'
import type { Replica, ReplicaStatus } from '../replica/replica.js'
import type { Partition } from './partition.js'
import { allEnded } from './partitions-in-use.js'

/** How far the replicas are. */
export interface PartitionedReplicaStatus {
  /** Operations that are not published, of all partitions together. */
  readonly lagRecords: number
  /** How long ago the state that is published was the newest one, in milliseconds, where that is longest. */
  readonly lagMs: number
  /** Why the last attempt has failed, with the name of the partition; `undefined`: none has. */
  readonly failure: string | undefined
  /** `true`: a partition is replicated no more. */
  readonly ended: boolean
  /** Of each partition that this process writes. */
  readonly partitions: readonly (ReplicaStatus & { readonly partition: number })[]
}

/** A partition and its replica. */
export interface ReplicatedPartition {
  readonly partition: Partition
  readonly replica: Replica
}

/** What `replicate` of a table with partitions gives. */
export class PartitionedReplica {
  readonly #replicas: readonly ReplicatedPartition[]

  /** @internal */
  constructor(replicas: readonly ReplicatedPartition[]) {
    this.#replicas = replicas
  }

  /**
   * Resolves when everything put before the call, in the partitions that this process writes, is in the store. Rejects as
   * `sync` of a replica, with the name of the partition.
   */
  async sync(options?: { readonly signal?: AbortSignal | undefined }, ...extra: never[]): Promise<void> {
    refuseExtra('sync', extra)
    const given = readOptions('sync', options, { signal: optionalSignal })
    await this.#each(replica => replica.sync(given))
  }

  /** How far they are. Costs nothing. */
  status(...extra: never[]): PartitionedReplicaStatus {
    refuseExtra('status', extra)
    const partitions = this.#replicas.map(({ partition, replica }) => ({
      partition: partition.number,
      name: partition.name,
      status: replica.status(),
    }))
    const failed = partitions.find(({ status }) => status.failure !== undefined)
    return {
      lagRecords: partitions.reduce((sum, { status }) => sum + status.lagRecords, 0),
      lagMs: Math.max(...partitions.map(({ status }) => status.lagMs)),
      failure: failed && `partition ${failed.name}: ${failed.status.failure}`,
      ended: partitions.some(({ status }) => status.ended),
      partitions: partitions.map(({ partition, status }) => ({ partition, ...status })),
    }
  }

  /** A last publish of each, then they end. Idempotent. Rejects as `close` of a replica. */
  async close(options?: { readonly signal?: AbortSignal | undefined }, ...extra: never[]): Promise<void> {
    refuseExtra('close', extra)
    const given = readOptions('close', options, { signal: optionalSignal })
    await this.#each(replica => replica.close(given))
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async #each(action: (replica: Replica) => Promise<void>): Promise<void> {
    const all = this.#replicas.map(async ({ partition, replica }) => {
      try {
        await action(replica)
      } catch (error) {
        throw partition.named(error)
      }
    })
    await allEnded(all)
  }
}
