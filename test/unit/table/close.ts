/** Ends parts that were opened without the face. */
import { Pins } from '../../../src/state/pins.js'
import { closeTable } from '../../../src/table/close-table.js'
import type { TableParts } from '../../../src/table/table-parts.js'

export function closeParts(parts: TableParts, pins = new Pins(() => {})): Promise<void> {
  const done = (): Promise<void> => Promise.resolve()
  return closeTable({ parts: () => parts, pins, callsEnded: done, endPublishing: done })
}
