/** What a process is told that puts until the power is cut, and the lines by which it tells what it has done. */

export interface Life {
  readonly directory: string
  readonly seed: number
  /** Number of its first call. */
  readonly first: number
  readonly bufferBytes: number
  readonly walBytes: number
  /** `null`: never by time; JSON has no `Infinity`. */
  readonly syncIntervalMs: number | null
  /** Calls that wait together. */
  readonly atOnce: number
  /** One call in this many asks for a sync, and one group in this many calls `sync()`. */
  readonly syncOneIn: number
  /** Closes the table after this many calls. */
  readonly calls: number
}

export type Report =
  | { readonly type: 'open' }
  /** Calls below `end` are about to be made. */
  | { readonly type: 'made'; readonly end: number }
  /** Calls below `end` survive a power cut. */
  | { readonly type: 'durable'; readonly end: number }
  | { readonly type: 'closed' }
  /** A call was rejected with this code; it makes no more calls. */
  | { readonly type: 'rejected'; readonly code: string }

export function formatReport(report: Report): string {
  return `${JSON.stringify(report)}\n`
}

export function parseReport(line: string): Report {
  return JSON.parse(line) as Report
}
