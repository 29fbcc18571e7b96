/** Numbers as people read them. The exact ones are in `flashtable stats` and `inspect`. */
import { visible } from '../../src/base/describe-value.js'
import { formatCount, formatNumber } from './output.js'

const UNITS = ['bytes', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'] as const

/** The unit in which this number of bytes is below 1,024, and what it is in bytes. */
export function unitOf(bytes: number): { readonly name: string; readonly bytes: number } {
  const power = bytes < 1 ? 0 : Math.min(UNITS.length - 1, Math.floor(Math.log2(bytes) / 10))
  return { name: UNITS[power]!, bytes: 2 ** (10 * power) }
}

/** 2243760 as `2.14 MiB`. */
export function sizeText(bytes: number): string {
  const unit = unitOf(bytes)
  const value = bytes / unit.bytes
  return unit.bytes === 1 ? countText(value, 'byte') : `${roundText(value)} ${unit.name}`
}

/** Three digits: 1.38, 13.8, 138, 1,380. */
export function roundText(value: number): string {
  const digits = value >= 100 || value === 0 ? 0 : value >= 10 ? 1 : 2
  return formatNumber(value, digits)
}

/** 0.4 as `40 %`. */
export function percentText(share: number): string {
  const percent = 100 * share
  if (percent > 0 && percent < 1) return 'less than 1 %'
  if (percent > 99 && percent < 100) return 'more than 99 %'
  return `${Math.round(percent)} %`
}

export function durationText(ms: number): string {
  if (ms < 1000) return `${Math.round(ms)} ms`
  if (ms < 120_000) return `${roundText(ms / 1000)} s`
  return ms < 7_200_000 ? `${roundText(ms / 60_000)} minutes` : `${roundText(ms / 3_600_000)} hours`
}

/** `1 file`, `2 files`. */
export function countText(count: number, one: string, many = `${one}s`): string {
  return `${formatCount(count)} ${count === 1 ? one : many}`
}

/** On one line, without what acts on a terminal or turns text around, and at most this long. */
export function shortText(text: string, length: number): string {
  const characters = Array.from(visible(text))
  return characters.length <= length ? characters.join('') : `${characters.slice(0, length - 1).join('')}…`
}

/** `2026-11-29 03:24 UTC`. */
export function timeText(time: Date): string {
  return `${time.toISOString().slice(0, 'YYYY-MM-DDTHH:MM'.length).replace('T', ' ')} UTC`
}
