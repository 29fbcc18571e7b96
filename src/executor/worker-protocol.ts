/** The messages between `worker-executor.ts` and `worker.ts`. */
import { FlashTableError, codeOf, isError, type FlashTableErrorCode } from '../base/errors.js'
import type { BuiltPages } from '../bucket-file/page-builder.js'
import type { CompactionJob, CompactionResult, RangeJob, SpillJob } from '../jobs/job.js'
import type { Spill } from '../spill/spill.js'

/** One worker runs one job at a time. */
export type Task =
  | { readonly kind: 'run'; readonly job: CompactionJob }
  | { readonly kind: 'spill'; readonly job: SpillJob }
  | { readonly kind: 'build'; readonly job: RangeJob }
export type ToWorker = Task | { readonly kind: 'abort' }

/** The result of each kind of task. */
interface Outcomes {
  readonly run: CompactionResult
  readonly spill: Spill[]
  readonly build: BuiltPages
}
export type Outcome<T extends Task> = Outcomes[T['kind']]

export type FromWorker =
  /** The first message: its script has been loaded. */
  | { readonly kind: 'begun' }
  | { readonly kind: 'progress'; readonly operations: number }
  /** Write calls have transferred this many bytes since the last such message. */
  | { readonly kind: 'written'; readonly bytes: number }
  /** `kernelPages`: data pages that kernels have written or read. */
  | { readonly kind: 'done'; readonly result: Outcome<Task>; readonly kernelPages: number }
  | { readonly kind: 'failed'; readonly failure: Failure }

/** An error as plain data: a structured clone keeps no `code`. */
export interface Failure {
  readonly ours: boolean
  readonly code: string | undefined
  readonly message: string
  readonly stack: string | undefined
  readonly cause: Failure | undefined
}

export function failureOf(error: unknown): Failure {
  if (!isError(error)) {
    return { ours: false, code: undefined, message: String(error), stack: undefined, cause: undefined }
  }
  return {
    ours: error instanceof FlashTableError,
    code: codeOf(error),
    message: error.message,
    stack: error.stack,
    cause: error.cause === undefined ? undefined : failureOf(error.cause),
  }
}

export function errorOf({ ours, code, message, stack, cause }: Failure): Error {
  const options = cause === undefined ? {} : { cause: errorOf(cause) }
  const error = ours
    ? new FlashTableError(code as FlashTableErrorCode, message, options)
    : Object.assign(new Error(message, options), code === undefined ? {} : { code })
  if (stack !== undefined) error.stack = stack
  return error
}
