/** What the manifest knows of a bucket file: enough to find it, to check it and to plan merges. */
export interface BucketFileEntry {
  readonly number: number
  /** Of the writer that made it; part of its checksums. */
  readonly epoch: number
  readonly level: number
  /** File size in pages. */
  readonly pages: number
  /** Puts in it. */
  readonly records: number
  readonly firstSequence: number
  readonly endSequence: number
}
