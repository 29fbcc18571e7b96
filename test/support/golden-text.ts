/** Records of golden tables as JSON: exact for every type of field, and comparable as text. */

export type GoldenValue = number | bigint | string | Uint8Array

export interface GoldenRecord {
  readonly key: GoldenValue
  readonly value: Readonly<Record<string, GoldenValue>>
}

/** The metadata of the golden tables. */
export const GOLDEN_META = { upTo: 789, names: { 'é 😀': [1, -0.5, true, null, 'a "text"\n'] } } as const

/** JSON in which bigints are `"12n"`, bytes `"0x..."`, and numbers that JSON cannot hold `"-0"`, `"Infinity"`. */
export function goldenText(value: unknown): string {
  return JSON.stringify(value, (_, inner: unknown) => {
    if (typeof inner === 'bigint') return `${inner}n`
    if (inner instanceof Uint8Array) return `0x${Buffer.from(inner).toString('hex')}`
    if (typeof inner === 'number' && (Object.is(inner, -0) || !Number.isFinite(inner))) {
      return Object.is(inner, -0) ? '-0' : String(inner)
    }
    return inner
  })
}
