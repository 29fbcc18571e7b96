/** A progress bar on standard error, on a terminal only. */
import { SingleBar } from 'cli-progress'

export interface Progress {
  update(done: number, total: number): void
  /** Ends the line of the bar. */
  stop(): void
}

/** The bar appears with the first update. */
export function progressBar(label: string): Progress {
  if (!process.stderr.isTTY) return { update: () => {}, stop: () => {} }
  const bar = new SingleBar({
    format: `${label} [{bar}] {percentage} %, {duration_formatted}`,
    barCompleteChar: '#',
    barIncompleteChar: '.',
    // interrupt.ts looks after signals, and what is not changed on the terminal need not be restored.
    gracefulExit: false,
    hideCursor: null,
    linewrap: null,
  })
  return {
    update(done, total) {
      if (!bar.isActive) bar.start(total, 0)
      bar.setTotal(total)
      bar.update(done)
    },
    stop() {
      bar.stop()
    },
  }
}
