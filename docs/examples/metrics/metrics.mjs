// What `stats()` tells, for Prometheus: an endpoint of plain node:http. No package is needed.
//
//   node metrics.mjs [TABLE PORT]   without arguments: makes a table, asks itself once, and ends
import { rm } from 'node:fs/promises'
import { createServer } from 'node:http'
import { basename } from 'node:path'
import process from 'node:process'
import { FlashTable } from 'flashtable'
import { metricsOf, toPrometheus } from 'flashtable/metrics'

/** A server whose `/metrics` has the metrics of these tables, told apart by the label `table`. */
export function metricsServer(tables) {
  return createServer(async (request, response) => {
    if (request.url !== '/metrics') return response.writeHead(404).end()
    try {
      const metrics = await Promise.all(
        tables.map(table => metricsOf(table, { table: basename(table.location) })),
      )
      response.setHeader('content-type', 'text/plain; version=0.0.4')
      response.end(toPrometheus(metrics.flat()))
    } catch (error) {
      response.writeHead(500).end(String(error))
    }
  })
}

async function serve(location, port) {
  // A reader sees the numbers that are on disk. Those of memory and waits are known to the process that writes.
  const table = await FlashTable.open(location, { readOnly: true })
  setInterval(() => table.refresh().catch(console.error), 15_000).unref()
  metricsServer([table]).listen(port, () => console.log(`http://localhost:${port}/metrics`))
}

async function showOnce() {
  await rm('./visits', { recursive: true, force: true })
  const table = await FlashTable.open('./visits', { keyEncoding: 'u32', valueEncoding: 'u32' })
  await table.putColumns({ key: new Uint32Array(1000), value: new Uint32Array(1000) })
  const server = metricsServer([table])
  await new Promise(resolve => server.listen(0, resolve))
  const answer = await fetch(`http://localhost:${server.address().port}/metrics`)
  const lines = (await answer.text()).split('\n')
  console.log(lines.filter(line => /flashtable_(records|put_bytes_total|merge_debt)\b/.test(line)).join('\n'))
  server.close()
  server.closeAllConnections()
  await table.close()
}

const [location, port] = process.argv.slice(2)
if (location === undefined) await showOnce()
else await serve(location, Number(port ?? 9464))
