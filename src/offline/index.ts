/** Verify and repair as the package exports them: arguments checked, on the disk of this machine. docs/api.md. */
import type { KeyEncoding, ValueEncoding } from '../encoding/types.js'
import { optionalCallback, optionalSignal, readOptions, refuseExtra } from '../options/arguments.js'
import { absolutePath } from '../options/location.js'
import {
  optionalCombine,
  optionalDuplicates,
  optionalBufferBytes,
  optionalFileMode,
  optionalPageBytes,
  type CombineFields,
  type Duplicates,
} from '../options/options.js'
import { repairTable as repairDirectory, type RepairResult } from './repair/repair.js'
import { verifyTable as verifyDirectory, type Verification } from './verify.js'

export type { Loss, RepairResult } from './repair/repair.js'
export type { Problem, Verification } from './verify.js'

/** Options of `verifyTable`. */
export interface VerifyOptions {
  /** Aborts the call, which rejects with `signal.reason`. */
  readonly signal?: AbortSignal | undefined
  /** Called now and then with the number of pages read so far and in all. */
  readonly onProgress?: ((progress: { done: number; total: number }) => void) | undefined
}

/** Options of `repairTable`. The encodings and what else is stored at creation are needed only if the manifest is lost. */
export interface RepairOptions extends VerifyOptions {
  readonly keyEncoding?: KeyEncoding | undefined
  readonly valueEncoding?: ValueEncoding | undefined
  readonly duplicates?: Duplicates | undefined
  readonly combine?: CombineFields | undefined
  readonly pageBytes?: number | undefined
  readonly mode?: number | undefined
  /** Memory that the repair may take, as for `open`. */
  readonly bufferBytes?: number | undefined
}

const asGiven = (value: unknown): unknown => value

const VERIFY_OPTIONS = {
  signal: optionalSignal,
  onProgress: optionalCallback<NonNullable<VerifyOptions['onProgress']>>(),
}
const REPAIR_OPTIONS = {
  ...VERIFY_OPTIONS,
  keyEncoding: asGiven,
  valueEncoding: asGiven,
  duplicates: optionalDuplicates,
  combine: optionalCombine,
  pageBytes: optionalPageBytes,
  mode: optionalFileMode,
  bufferBytes: optionalBufferBytes,
}

/**
 * Reads every page and frame of a table and compares them with everything that its manifest and footers say. Changes
 * nothing, takes no lock, and may run beside a writer. Damage does not reject: it is in `problems`.
 *
 * Rejects with `FLASHTABLE_NOT_FOUND`, `_IO_ERROR`, `_INVALID_OPTION`, or `signal.reason`. Cost: reads all files once.
 */
export async function verifyTable(
  location: string | URL,
  options?: VerifyOptions,
  ...extra: never[]
): Promise<Verification> {
  refuseExtra('verifyTable', extra)
  const directory = absolutePath(location, 'location')
  return verifyDirectory(directory, readOptions('verifyTable', options, VERIFY_OPTIONS))
}

/**
 * Saves every record whose page or frame is intact into a new table in `into`, and changes nothing in `location`. What
 * could not be saved is in `losses`. When this resolves, `into` is a table and on the device. Before that, or if this
 * rejects, it is no table.
 *
 * Rejects with `FLASHTABLE_NOT_FOUND` if there is no table, `_EXISTS` if something is in `into`, `_CORRUPTION` if the
 * manifest is lost and no `keyEncoding` is given or if nothing can be read, `_SCHEMA_MISMATCH` if the encodings are not
 * those of the table, `_DISK_FULL`, `_IO_ERROR`, `_INVALID_OPTION`, or `signal.reason`. Cost: reads all files once, the
 * log twice; writes what it saves.
 */
export async function repairTable(
  location: string | URL,
  into: string | URL,
  options?: RepairOptions,
  ...extra: never[]
): Promise<RepairResult> {
  refuseExtra('repairTable', extra)
  const [from, to] = [absolutePath(location, 'location'), absolutePath(into, 'into')]
  return repairDirectory(from, to, readOptions('repairTable', options, REPAIR_OPTIONS))
}
