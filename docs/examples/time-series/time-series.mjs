// Measurements of sensors under keys of sensor and time: ranges, newest values, and an end to old ones.
//
//   node time-series.mjs [FILE.csv]   lines `sensor,seconds,value`; without a file: a day of 20 sensors
import { readFile, rm } from 'node:fs/promises'
import process from 'node:process'
import { FlashTable } from 'flashtable'

const HOUR = 3600n
const BATCH = 10_000

/** Sensor in the upper half, time in the lower: the values of a sensor are neighbours, in the order of their times. */
const keyOf = (sensor, time) => (BigInt(sensor) << 32n) | BigInt(time)
const sensorOf = key => Number(key >> 32n)
const timeOf = key => BigInt.asUintN(32, key)
/** From `from` on, before `to`. */
const rangeOf = (sensor, from, to) => ({ gte: keyOf(sensor, from), lt: keyOf(sensor, to) })
const allOf = sensor => ({ gte: keyOf(sensor, 0), lt: keyOf(sensor + 1, 0) })

/** Temperatures every 10 s, colder at night; each sensor has its own level. */
function* madeUp() {
  for (let time = 0; time < 86_400; time += 10)
    for (let sensor = 1; sensor <= 20; sensor++)
      yield [sensor, time, 10 + sensor / 2 - 5 * Math.cos((2 * Math.PI * time) / 86_400)]
}

function* fromCsv(text) {
  for (const line of text.split('\n'))
    if (line !== '') {
      const [sensor, time, value] = line.split(',').map(Number)
      yield [sensor, time, value]
    }
}

async function putAll(table, measurements) {
  let key = []
  let value = []
  const put = () => table.putColumns({ key: BigUint64Array.from(key), value: Float32Array.from(value) })
  for (const [sensor, time, measured] of measurements) {
    key.push(keyOf(sensor, time))
    value.push(measured)
    if (key.length < BATCH) continue
    await put()
    key = []
    value = []
  }
  await put()
}

/** The average of a range, in batches of columns: no object is made for a record. */
async function averageOf(table, range) {
  let sum = 0
  let count = 0
  for await (const { value } of table.scanColumns(range)) {
    for (const one of value) sum += one
    count += value.length
  }
  return `${(sum / count).toFixed(2)} of ${count} values`
}

/** All sensors, without a look at their values: from the first key of one to the first key of the next. */
async function sensorsOf(table) {
  const sensors = []
  for (
    let entry = await table.first();
    entry;
    entry = await table.first({ gte: keyOf(sensors.at(-1) + 1, 0) })
  )
    sensors.push(sensorOf(entry[0]))
  return sensors
}

const file = process.argv[2]
await rm('./measurements', { recursive: true, force: true })
const table = await FlashTable.open('./measurements', { keyEncoding: 'u64', valueEncoding: 'f32' })
await putAll(table, file ? fromCsv(await readFile(file, 'utf8')) : madeUp())

const sensors = await sensorsOf(table)
console.log(`${await table.count()} values of ${sensors.length} sensors`)

const sensor = sensors.at(-1)
const [lastKey, lastValue] = table.lastSync(allOf(sensor))
const now = timeOf(lastKey)
console.log(`sensor ${sensor}, newest value: ${lastValue.toFixed(2)} at second ${now}`)
console.log(`its last hour: ${await averageOf(table, rangeOf(sensor, now - HOUR + 1n, now + 1n))}`)

// Old values: one small log entry for each sensor.
for (const each of sensors) await table.clear(rangeOf(each, 0, now - 6n * HOUR + 1n))
console.log(`the last six hours: ${await table.count()} values`)
const [oldest] = table.firstSync(allOf(sensor))
console.log(`sensor ${sensor}, oldest value: second ${timeOf(oldest)}`)
await table.compact()
const { dataBytesOnDisk, records } = await table.stats()
console.log(`${(dataBytesOnDisk / records).toFixed(1)} bytes on disk for a record of 12`)
await table.close()
