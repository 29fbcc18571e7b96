/** What the child of the kill test puts: call `n` is a batch of records that can be told from all others. */

export interface KillRecord {
  readonly key: number
  readonly call: number
  readonly index: number
}

/** Keys, so few that each comes up in many calls. */
const KEYS = 50_000

/** How many records call `n` puts: mostly one, now and then columns of more than a page. */
export function sizeOf(call: number): number {
  const draw = mixed(call) % 100
  if (draw < 70) return 1
  return draw < 98 ? 2 + (mixed(call + 1) % 40) : 600
}

/** Whether call `n` asks for a sync. */
export function isSynced(call: number): boolean {
  return mixed(call) % 53 === 0
}

export function recordsOf(call: number): KillRecord[] {
  return Array.from({ length: sizeOf(call) }, (_, index) => ({
    key: mixed(call * 1009 + index) % KEYS,
    call,
    index,
  }))
}

function mixed(n: number): number {
  let hash = Math.imul(n ^ (n >>> 15), 0x85eb_ca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2_ae35)
  return (hash ^ (hash >>> 16)) >>> 0
}
