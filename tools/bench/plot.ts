/** Draws the pictures of docs/benchmarks.md from saved figures: `npm --prefix tools/bench run plot -- FIGURES.json...`. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { ROOT } from './paths.js'
import { medianOf, type Report, type WorkloadResult } from './report.js'
import { importPeer } from './stores/open.js'
import { STORES, type StoreName } from './workload.js'

/** Of @observablehq/plot, what is used here. */
interface PlotLibrary {
  plot(options: object): { outerHTML: string; setAttribute(name: string, value: string): void }
  barX(data: readonly object[], options: object): object
  text(data: readonly object[], options: object): object
  line(data: readonly object[], options: object): object
  dot(data: readonly object[], options: object): object
  ruleX(values: readonly number[]): object
  ruleY(values: readonly number[], options: object): object
}
interface Dom {
  parseHTML(html: string): { document: object }
}

const NAMES: Record<StoreName, string> = {
  flashtable: 'flashtable',
  rocksdb: 'RocksDB',
  leveldb: 'LevelDB',
  lmdb: 'LMDB',
  sqlite: 'SQLite',
  memmap: 'numpy.memmap',
}

const { module: plot } = await importPeer<PlotLibrary>('@observablehq/plot')
const { module: dom } = await importPeer<Dom>('linkedom')
const { document } = dom.parseHTML('<html></html>')
const results = process.argv
  .slice(2)
  .flatMap(file => (JSON.parse(readFileSync(file, 'utf8')) as Report).results)
const directory = new URL('docs/pictures/', ROOT)
mkdirSync(directory, { recursive: true })

const load = results.find(result => result.workload === 'load')
if (load !== undefined) save('device-bytes.svg', drawDeviceBytes(load))
const growth = results.find(result => result.workload === 'growth')
if (growth !== undefined) save('write-amplification.svg', drawCurve(growth))

function drawDeviceBytes(result: WorkloadResult) {
  const bars = STORES.flatMap(store => {
    const bytes = medianOf(result, store, 'deviceBytesPerRecord')
    return bytes === undefined ? [] : [{ store: NAMES[store], bytes, label: String(Math.round(bytes)) }]
  })
  return plot.plot({
    document,
    width: 720,
    height: 60 + 40 * bars.length,
    marginLeft: 110,
    marginRight: 60,
    x: {
      type: 'log',
      label: 'bytes written to the device for a record of 16 bytes (log scale)',
      grid: true,
      domain: [10, 10_000],
    },
    y: { label: null, domain: bars.map(bar => bar.store) },
    marks: [
      plot.barX(bars, {
        x1: 10,
        x2: 'bytes',
        y: 'store',
        fill: (bar: { store: string }) => (bar.store === 'flashtable' ? '#1b7f5c' : '#9aa5b1'),
      }),
      plot.text(bars, { x: 'bytes', y: 'store', text: 'label', textAnchor: 'start', dx: 5 }),
      plot.ruleX([16]),
    ],
  })
}

function drawCurve(result: WorkloadResult) {
  const points = Object.keys(result.figures).flatMap(name => {
    const millions = /^amplificationAt(\d+)M$/.exec(name)?.[1]
    const amplification = medianOf(result, 'flashtable', name)
    return millions === undefined || amplification === undefined
      ? []
      : [{ millions: Number(millions), amplification }]
  })
  return plot.plot({
    document,
    width: 720,
    height: 300,
    x: {
      type: 'log',
      label: 'million records',
      ticks: points.map(point => point.millions),
      tickFormat: String,
    },
    y: { label: 'bytes written / record bytes', domain: [0, 3], grid: true },
    marks: [
      plot.ruleY([2.25], { stroke: '#c0392b', strokeDasharray: '4,3' }),
      plot.line(points, { x: 'millions', y: 'amplification', stroke: '#1b7f5c' }),
      plot.dot(points, { x: 'millions', y: 'amplification', fill: '#1b7f5c' }),
    ],
  })
}

function save(name: string, picture: ReturnType<PlotLibrary['plot']>): void {
  picture.setAttribute('xmlns', 'http://www.w3.org/2000/svg')
  writeFileSync(new URL(name, directory), `${picture.outerHTML}\n`)
}
