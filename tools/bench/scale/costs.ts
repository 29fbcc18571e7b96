/** What a store asks for: prices of S3 Standard in us-east-1, in dollars, late in 2026. */
const PUT = 5 / 1e6
const STORED_GB_MONTH = 0.023
const MONTH_MS = 30 * 24 * 3600 * 1000

export function putDollars(puts: number): number {
  return puts * PUT
}

export function storedDollars(byteMs: number): number {
  return (byteMs / 1e9 / MONTH_MS) * STORED_GB_MONTH
}

export function monthDollars(bytes: number): number {
  return (bytes / 1e9) * STORED_GB_MONTH
}
