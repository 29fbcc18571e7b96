/**
 * The plain twin of `combine`: what two values of a field become. docs/file-format.md, Reading a table.
 *
 * Integers are big here, whatever their type.
 */

/** A value as a program gives it: a number, a bigint, or something of which the first or the last is kept. */
export function combinedValue(type: string, operator: string, older: unknown, newer: unknown): unknown {
  if (operator === 'first') return older
  if (operator === 'last') return newer
  if (type.startsWith('f')) return combinedFloat(type, operator, older as number, newer as number)
  const combined = combinedInteger(type, operator, BigInt(older as number), BigInt(newer as number))
  return type.endsWith('64') ? combined : Number(combined)
}

function combinedFloat(type: string, operator: string, older: number, newer: number): number {
  if (operator === 'sum') return type === 'f32' ? Math.fround(older + newer) : older + newer
  if (Number.isNaN(newer)) return older
  if (Number.isNaN(older)) return newer
  return operator === 'min' ? Math.min(older, newer) : Math.max(older, newer)
}

function combinedInteger(type: string, operator: string, older: bigint, newer: bigint): bigint {
  const bits = BigInt(type.slice(1))
  const least = type.startsWith('i') ? -(2n ** (bits - 1n)) : 0n
  const greatest = least + 2n ** bits - 1n
  switch (operator) {
    case 'sum': {
      const sum = older + newer
      return sum < least ? least : sum > greatest ? greatest : sum
    }
    case 'min':
      return older < newer ? older : newer
    case 'max':
      return older > newer ? older : newer
    case 'or':
      return older | newer
    default:
      return older & newer
  }
}
