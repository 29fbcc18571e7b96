/**
 * A progress bar on standard error, on a terminal only: one line that is overwritten, with no control sequence but the
 * carriage return. docs/decisions/command-line-progress.md.
 */
import { printError } from './streams.js'

/** Takes how much of the work is done, in any unit. */
export type Update = (done: number, total: number) => void

/** Milliseconds between two redraws. */
const REDRAW_MS = 100
const LONGEST_BAR = 40
/** A shorter bar would say nothing. */
const SHORTEST_BAR = 5
/** For a terminal that does not tell. */
const DEFAULT_COLUMNS = 80

/** Runs `work` with a bar. It never goes back, and shows 100 % once, when the work has ended well. */
export async function withProgress<Result>(
  label: string,
  work: (update: Update) => Promise<Result>,
): Promise<Result> {
  if (!isDrawn()) return work(() => {})
  const bar = new ProgressBar(label)
  try {
    const result = await work((done, total) => bar.update(done, total))
    bar.finish()
    return result
  } finally {
    bar.endLine()
  }
}

/** A terminal that cannot go back in its line would be filled with bars. */
function isDrawn(): boolean {
  return process.stderr.isTTY && process.env['TERM'] !== 'dumb'
}

class ProgressBar {
  readonly #label: string
  readonly #startMs = performance.now()
  #percent = 0
  #drawnMs = -Infinity
  /** Characters of the line on the terminal; 0: there is none. */
  #drawn = 0

  constructor(label: string) {
    this.#label = label
  }

  update(done: number, total: number): void {
    // There may be more work than the total says: only its end counts as 100 %.
    const percent = total > 0 ? Math.min(99, Math.floor((100 * done) / total)) : 0
    if (percent > this.#percent) this.#percent = percent
    const now = performance.now()
    if (now - this.#drawnMs < REDRAW_MS) return
    this.#drawnMs = now
    this.#draw()
  }

  /** If nothing was shown yet, nothing is shown. */
  finish(): void {
    if (this.#drawn === 0) return
    this.#percent = 100
    this.#draw()
  }

  endLine(): void {
    if (this.#drawn > 0) printError('\n')
    this.#drawn = 0
  }

  #draw(): void {
    const seconds = Math.floor((performance.now() - this.#startMs) / 1000)
    const line = progressLine(this.#label, this.#percent, seconds, process.stderr.columns || DEFAULT_COLUMNS)
    printError(`\r${line.padEnd(this.#drawn)}`)
    this.#drawn = line.length
  }
}

/** The line, cut to this many columns. The last one stays free: some terminals would wrap. */
export function progressLine(label: string, percent: number, seconds: number, columns: number): string {
  const numbers = `${String(percent).padStart(3)} %, ${seconds} s`
  const barLength = Math.min(LONGEST_BAR, columns - 1 - label.length - numbers.length - ' [] '.length)
  const filled = Math.floor((percent * barLength) / 100)
  const bar = barLength < SHORTEST_BAR ? '' : ` [${'#'.repeat(filled)}${'.'.repeat(barLength - filled)}]`
  return `${label}${bar} ${numbers}`.slice(0, Math.max(0, columns - 1))
}
