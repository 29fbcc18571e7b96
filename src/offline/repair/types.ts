/** What repair is given, what it finds, and what it reports. */
import type { GivenEncodings, Schema } from '../../encoding/schema.js'
import type { Manifest } from '../../manifest/manifest.js'
import type { JsonObject } from '../../manifest/meta.js'
import type { Duplicates } from '../../options/options.js'
import type { Environment } from '../../table/environment.js'
import type { RunPart } from '../../wal/log-parts.js'

/** Something that could not be saved. */
export interface Loss {
  readonly file: string
  readonly offset: number
  readonly reason: string
  /** Keys of the records before and after the gap, if they are known: the lost records lie between them. */
  readonly after: unknown
  readonly before: unknown
  /** The number of missing operations, if known. */
  readonly operations: number | undefined
}

export interface RepairOptions extends GivenEncodings {
  /** As in the lost manifest, if that was not `'keep'`. */
  readonly duplicates?: Duplicates | undefined
  /** As in the lost manifest, if no bucket file tells it. */
  readonly pageBytes?: number | undefined
  /** As in the lost manifest, if that was not 0o600. */
  readonly mode?: number | undefined
  /** Memory that the repair may take, as for an open. */
  readonly bufferBytes?: number | undefined
  readonly signal?: AbortSignal | undefined
  /** Pages read so far and in all; log segments count by their size. */
  readonly onProgress?: ((progress: { done: number; total: number }) => void) | undefined
  /** @internal */
  readonly environment?: Environment | undefined
}

export interface RepairResult {
  /** Puts that were saved; some may be hidden by deletes. */
  readonly records: number
  readonly losses: readonly Loss[]
}

/** A bucket file to be saved. */
export interface SourceFile {
  readonly path: string
  /** The seed of all its checksums. */
  readonly seed: number
  readonly pageBytes: number
  /** Pages in the file. */
  readonly pages: number
  /** What the manifest says about it, if there is one. */
  readonly said: { readonly pages: number; readonly records: number } | undefined
}

/** Frames of the log to be saved. */
export interface SourcePiece extends RunPart {
  /** The seed of the segment's checksums. */
  readonly seed: number
}

/** What can be saved. */
export interface Inventory {
  readonly schema: Schema
  readonly pageBytes: number
  readonly duplicates: Manifest['duplicates']
  readonly mode: number
  /** Empty if no manifest tells. */
  readonly meta: JsonObject
  /** Oldest first. */
  readonly items: readonly (SourceFile | SourcePiece)[]
  readonly losses: readonly Loss[]
  /** The caller gave the schema: if something intact does not fit it, the schema is wrong. */
  readonly schemaGiven: boolean
  /** The manifest, if it is followed. */
  readonly manifest?: Manifest
}

/** A loss whose keys are not known. */
export function lossOf(file: string, offset: number, reason: string, operations?: number): Loss {
  return { file, offset, reason, after: undefined, before: undefined, operations }
}
