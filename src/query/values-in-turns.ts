/** Many values for the user, decoded while the event loop turns in between. docs/internals.md, Turns of the event loop. */
import { Turns } from '../async/turns.js'

/** The values 0 to `count` - 1, as `valueAt` decodes them. */
export async function valuesInTurns<T>(count: number, valueAt: (index: number) => T): Promise<T[]> {
  const turns = new Turns()
  const values: T[] = []
  for (let i = 0; i < count; i++) {
    if (turns.due()) await turns.take()
    values.push(valueAt(i))
  }
  return values
}
