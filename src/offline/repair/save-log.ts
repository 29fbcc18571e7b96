/** Saves frames of the log: whole ones, or the part that is in no bucket file. docs/durability.md, Repair. */
import { diskError } from '../../base/errors.js'
import { rowsDefect } from '../../bucket-file/page-facts.js'
import { walName } from '../../io/file-names.js'
import { OperationBuffer, type DeleteWhere } from '../../records/operations.js'
import { SegmentReader, type FoundFrame } from '../../wal/segment-reader.js'
import { walkFrames } from '../../wal/survey.js'
import { pendingDeletes } from './output.js'
import { otherSchema, type SaveContext } from './save-file.js'
import { lossOf, type Loss, type SourcePiece } from './types.js'

export async function savePiece(
  context: SaveContext,
  directory: string,
  piece: SourcePiece,
): Promise<Loss[]> {
  const { schema, output, signal } = context
  const { run, seed } = piece
  const path = `${directory}/${walName(run.segment)}`
  const losses: Loss[] = []
  const rows = new OperationBuffer(schema.layout, 256)
  const place = { ...context, directory, layout: schema.layout, lenient: true }
  let reader: SegmentReader
  try {
    reader = await SegmentReader.openWith(place, run.segment, seed, Infinity)
  } catch {
    return [lossOf(path, run.from, 'the segment cannot be opened', run.endSequence - run.firstSequence)]
  }
  const visit = async (frame: FoundFrame): Promise<void> => {
    const { firstSequence, endSequence } = frame.header
    if (firstSequence >= piece.endSequence || endSequence <= piece.firstSequence) return
    const deletes: DeleteWhere[] = []
    const defect = decode(reader, frame, rows, deletes) ?? rowsDefect(rows, schema.layout, false)
    if (defect !== undefined) {
      // Both checksums fit: it was written like this, or the schema is not the table's.
      if (context.schemaGiven) throw otherSchema(path, frame.offset, defect)
      losses.push(lossOf(path, frame.offset, defect, endSequence - firstSequence))
      return
    }
    if (firstSequence >= piece.firstSequence && endSequence <= piece.endSequence) {
      await output.add(rows, pendingDeletes(deletes, firstSequence))
    } else {
      const part = partOf(rows, deletes, firstSequence, piece, new OperationBuffer(schema.layout, 16))
      await output.add(part.rows, pendingDeletes(part.deletes, part.first))
    }
  }
  try {
    await walkFrames(reader, run.from, run.to, { visit }, signal)
  } finally {
    await reader.close()
  }
  return losses
}

/** What is wrong with the frame although its checksums fit. */
function decode(
  reader: SegmentReader,
  frame: FoundFrame,
  rows: OperationBuffer,
  deletes: DeleteWhere[],
): string | undefined {
  rows.clear()
  try {
    reader.decode(frame, rows, deletes)
    return undefined
  } catch (error) {
    return diskError(error, reader.path).message
  }
}

/** The operations of a frame that begins with `frameFirst` whose sequence numbers are in the range. */
function partOf(
  rows: OperationBuffer,
  deletes: readonly DeleteWhere[],
  frameFirst: number,
  { firstSequence, endSequence }: { readonly firstSequence: number; readonly endSequence: number },
  into: OperationBuffer,
): { rows: OperationBuffer; deletes: DeleteWhere[]; first: number } {
  const isIn = (sequence: number): boolean => sequence >= firstSequence && sequence < endSequence
  const taken = new Set(deletes.map(entry => entry.sequence))
  let sequence = frameFirst
  for (let row = 0; row < rows.count; row++, sequence++) {
    while (taken.has(sequence)) sequence++
    if (isIn(sequence)) into.append(rows, row, row + 1)
  }
  const first = Math.max(frameFirst, firstSequence)
  return { rows: into, deletes: deletes.filter(entry => isIn(entry.sequence)), first }
}
