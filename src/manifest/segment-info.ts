/** A WAL segment and the operations in it: what the log hands out and the manifest keeps of a closed one. */
export interface SegmentInfo {
  readonly number: number
  /** The epoch of the writer that made it; part of its checksums. */
  readonly epoch: number
  /** Where the last frame ends. */
  readonly bytes: number
  readonly firstSequence: number
  readonly endSequence: number
}
