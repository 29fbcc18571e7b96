/** Pictures of the documentation, drawn by Observable Plot on its own document: docs/decisions/observable-plot.md. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { ROOT } from './paths.js'
import { importPeer } from './stores/import-peer.js'
import type { StoreName } from './workload.js'

/** The part of @observablehq/plot that is used here. */
interface PlotLibrary {
  plot(options: object): Picture
  barX(data: readonly object[], options: object): object
  text(data: readonly object[], options: object): object
  line(data: readonly object[], options: object): object
  dot(data: readonly object[], options: object): object
  ruleX(values: readonly (number | object)[], options?: object): object
  ruleY(values: readonly number[], options: object): object
}
interface Picture {
  readonly outerHTML: string
  setAttribute(name: string, value: string): void
}
interface Dom {
  parseHTML(html: string): { document: object }
}

export const NAMES: Record<StoreName, string> = {
  flashtable: 'flashtable',
  rocksdb: 'RocksDB',
  leveldb: 'LevelDB',
  lmdb: 'LMDB',
  sqlite: 'SQLite',
  memmap: 'numpy.memmap',
  duckdb: 'DuckDB',
}
export const OUR_COLOUR = '#1b7f5c'
export const THEIR_COLOUR = '#9aa5b1'

export const { module: plot } = await importPeer<PlotLibrary>('@observablehq/plot')
const { module: dom } = await importPeer<Dom>('linkedom')
export const { document } = dom.parseHTML('<html></html>')

/** Pages show pictures on light and on dark ground: ours bring their own, so that the text can be read. */
const GROUND =
  'svg { background: #fff; color: #1f2328 } ' +
  '@media (prefers-color-scheme: dark) { svg { background: #0d1117; color: #e6edf3 } }'

/** Writes docs/pictures/NAME. */
export function savePicture(name: string, picture: Picture): void {
  const directory = new URL('docs/pictures/', ROOT)
  mkdirSync(directory, { recursive: true })
  picture.setAttribute('xmlns', 'http://www.w3.org/2000/svg')
  // A hundredth of a pixel is enough, and a third of the bytes.
  const text = picture.outerHTML.replaceAll(/\d+\.\d{3,}/g, number =>
    String(Number(Number(number).toFixed(2))),
  )
  writeFileSync(new URL(name, directory), `${text.replace('<style>', `<style>${GROUND}\n`)}\n`)
}
