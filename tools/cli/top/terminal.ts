/**
 * A screen of its own on the terminal, which is as it was afterwards. docs/decisions/command-line-progress.md.
 *
 * Six control sequences, which every terminal of the last 40 years knows; no library is needed for them.
 */
import { ReadStream } from 'node:tty'
import { newAbortController } from '../../../src/async/abort.js'

const ENTER = '\u001b[?1049h\u001b[?25l'
const LEAVE = '\u001b[?25h\u001b[?1049l'
const HOME = '\u001b[H'
const REST_OF_LINE = '\u001b[K'
const REST_OF_SCREEN = '\u001b[J'
const CTRL_C = '\u0003'
/** Terminals that do not tell. */
const DEFAULT_SIZE = { columns: 80, rows: 24 }

export interface ScreenSize {
  readonly columns: number
  readonly rows: number
}

/** Draws the lines that fit the screen; again on its own when its size changes. */
export type Draw = (linesFor: (size: ScreenSize) => readonly string[]) => void

/**
 * Runs `work` with a screen of its own. `ended` aborts when the user wants it to end (q), or with `signal`. Requires: standard
 * output is a terminal.
 */
export async function ownScreen(
  signal: AbortSignal,
  work: (draw: Draw, ended: AbortSignal) => Promise<void>,
): Promise<void> {
  const quit = newAbortController()
  const ended = AbortSignal.any([signal, quit.signal])
  const { stdout, stdin } = process
  let linesFor: ((size: ScreenSize) => readonly string[]) | undefined
  const redraw = (): void => {
    if (linesFor === undefined) return
    const { columns = DEFAULT_SIZE.columns, rows = DEFAULT_SIZE.rows } = stdout
    const lines = linesFor({ columns, rows })
    stdout.write(`${HOME}${lines.map(line => line + REST_OF_LINE).join('\r\n')}${REST_OF_SCREEN}`)
  }
  const onKeys = (keys: Buffer): void => {
    const text = keys.toString('latin1')
    // In raw mode the terminal makes no signal of it.
    if (text.includes(CTRL_C)) process.kill(process.pid, 'SIGINT')
    if (text.includes('q')) quit.abort()
  }
  const keyboard = stdin instanceof ReadStream ? stdin : undefined
  stdout.write(ENTER)
  stdout.on('resize', redraw)
  keyboard?.setRawMode(true).on('data', onKeys)
  try {
    await work(next => {
      linesFor = next
      redraw()
    }, ended)
  } finally {
    keyboard?.off('data', onKeys).setRawMode(false).pause()
    stdout.off('resize', redraw)
    stdout.write(LEAVE)
  }
}
