/**
 * Closes a table. Each step is tried, even if earlier ones failed:
 *
 * 1. Pending puts are committed, merges are aborted, jobs end.
 * 2. Running calls settle, pins are released.
 * 3. The log is synced, and a last manifest notes where it ends: the next open then trusts every byte of it.
 * 4. Files are closed, the lock is released.
 *
 * Crash: before step 3 is done the next open recovers as after any unclean end. docs/durability.md, Recovery.
 */
import type { Pins } from '../state/pins.js'
import type { TableParts, WriterParts } from './table-parts.js'

/** What `close` works with. */
export interface Closing {
  /** The current parts: a refresh may have replaced them while the table was closing. */
  parts(): TableParts
  readonly pins: Pins
  /** Resolves when all running calls have settled. */
  callsEnded(): Promise<unknown>
  /** Lets another process publish. */
  endPublishing(): Promise<void>
}

/** Closes the table. Rejects with the first failure; everything is released in any case. */
export async function closeTable(closing: Closing): Promise<void> {
  const { writer } = closing.parts()
  const failures: unknown[] = []
  const attempt = async (step: () => Promise<void> | undefined): Promise<void> => {
    try {
      await step()
    } catch (error) {
      failures.push(error)
    }
  }
  await attempt(() => endCalls(closing, writer))
  await attempt(() => writer?.eventLog.close())
  await attempt(() => writer?.wal.close())
  await attempt(() => closing.parts().state.close())
  await attempt(() => closing.parts().remote?.close())
  await attempt(() => closing.endPublishing())
  await attempt(() => writer?.lock.release())
  if (failures.length > 0) throw failures[0]
}

async function endCalls(closing: Closing, writer: WriterParts | undefined): Promise<void> {
  await writer?.committer.close()
  await writer?.compactor.close()
  await closing.callsEnded()
  await writer?.jobs.close()
  await closing.pins.releaseAll()
  if (writer !== undefined) await endLog(closing.parts(), writer)
}

async function endLog({ state, poison }: TableParts, writer: WriterParts): Promise<void> {
  const { wal, committer, home, eventLog } = writer
  if (poison.latched) {
    // `close` promises a sync. If unsynced writes remain, it must report the failure.
    if (wal.syncedSequence < wal.nextSequence || home.moved) throw poison.error()
    return
  }
  await wal.sync()
  // Before the last manifest, which counts it.
  await eventLog.close({ event: 'close' })
  await state.installClean(committer.liveSegments())
  await wal.trimSpares()
}
