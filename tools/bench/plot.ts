/** Draws the pictures of docs/benchmarks.md from saved figures: `npm --prefix tools/bench run plot -- FIGURES.json...`. */
import { readFileSync } from 'node:fs'
import { document, NAMES, OUR_COLOUR, plot, savePicture, THEIR_COLOUR } from './picture.js'
import { medianOf, type Report, type WorkloadResult } from './report.js'
import { STORES } from './workload.js'

const results = process.argv
  .slice(2)
  .flatMap(file => (JSON.parse(readFileSync(file, 'utf8')) as Report).results)

const load = results.find(result => result.workload === 'load')
if (load !== undefined) savePicture('device-bytes.svg', drawDeviceBytes(load))
const growth = results.find(result => result.workload === 'growth')
if (growth !== undefined) savePicture('write-amplification.svg', drawCurve(growth))

function drawDeviceBytes(result: WorkloadResult) {
  const bars = STORES.flatMap(store => {
    const bytes = medianOf(result, store, 'deviceBytesPerRecord')
    const label = bytes?.toFixed(bytes < 100 ? 1 : 0)
    return bytes === undefined ? [] : [{ store: NAMES[store], bytes, label }]
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
      domain: [1, 10_000],
    },
    y: { label: null, domain: bars.map(bar => bar.store) },
    marks: [
      plot.barX(bars, {
        x1: 1,
        x2: 'bytes',
        y: 'store',
        fill: (bar: { store: string }) => (bar.store === 'flashtable' ? OUR_COLOUR : THEIR_COLOUR),
      }),
      // Within its bar: beside it the line would cross one.
      plot.text(bars, {
        x: 'bytes',
        y: 'store',
        text: 'label',
        textAnchor: 'end',
        dx: -5,
        fill: (bar: { store: string }) => (bar.store === 'flashtable' ? '#ffffff' : '#1f2328'),
      }),
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
      plot.ruleY([2.3], { stroke: '#c0392b', strokeDasharray: '4,3' }),
      plot.line(points, { x: 'millions', y: 'amplification', stroke: OUR_COLOUR }),
      plot.dot(points, { x: 'millions', y: 'amplification', fill: OUR_COLOUR }),
    ],
  })
}
