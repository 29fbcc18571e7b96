/** Ranges for scans. */
import type { ModelRange } from '../support/model.js'
import { keyText } from '../support/schemas.js'
import type { RunState } from './run-state.js'

/** Bounds, direction and limit of a scan, for the table and for the model. */
export function randomRange(run: RunState): { range: object; model: ModelRange } {
  const { random } = run
  const range: Record<string, unknown> = {}
  const model: Record<string, unknown> = {}
  for (const names of [
    ['gt', 'gte'],
    ['lt', 'lte'],
  ]) {
    if (random.chance(0.4)) continue
    const name = random.pick(names)
    range[name] = run.randomKey()
    model[name] = keyText(range[name])
  }
  if (random.chance(0.6)) range['reverse'] = model['reverse'] = random.chance(0.7)
  if (random.chance(0.4)) range['limit'] = model['limit'] = random.pick([0, 1, 2, 10, 100, 1000])
  return { range, model }
}
