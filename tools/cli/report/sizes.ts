/** The sections of a report that are words and tables: what verify said, and what the table is. */
import { fileModeText } from '../../../src/base/file-mode.js'
import { combineText } from '../../../src/encoding/combine.js'
import { combineOf, MANIFEST_VERSION } from '../../../src/manifest/manifest.js'
import { formatBytes, formatCount } from '../output.js'
import { schemaText } from '../schema.js'
import type { Facts } from './facts.js'
import { markup, htmlList, htmlTable, NOTHING, type Html } from './html.js'
import type { Problem } from '../inspect/open-table.js'
import { failureText } from './sections.js'
import { countText, shortText, sizeText } from '../words.js'

const PROBLEMS_MAX = 100
const META_LETTERS = 2000

export function verifySection({
  verification,
  verifyFailure,
  inspected,
  inspectFailure,
  directory,
}: Facts): Html {
  const problems = verification?.problems ?? inspected?.problems ?? []
  const shown = problems.slice(0, PROBLEMS_MAX)
  const left = problems.length - shown.length
  const said =
    verification === undefined
      ? verifyFailure === undefined
        ? markup`<p>It was not run.</p>`
        : markup`<p>It gave up: ${verifyFailure.message}</p>`
      : markup`<p>
          It has read ${countText(verification.files, 'file')} with ${countText(verification.pages, 'page')},
          ${countText(verification.frames, 'frame')} of the log and
          ${countText(verification.records, 'record')}:
          ${problems.length === 0 ? 'no problem.' : countText(problems.length, 'problem')}
        </p>`
  return markup`<section>
    <h2>What verify says</h2>
    ${said} ${failureText('The manifest', inspectFailure)}
    <ul>
      ${shown.map(problem => problemItem(problem, directory))}
    </ul>
    ${left === 0 ? NOTHING : markup`<p>And ${formatCount(left)} more: <code>flashtable verify</code> lists all.</p>`}
  </section>`
}

/** Without the directory, which the page has at its top. */
function problemItem(
  { file, offset, message }: Pick<Problem, 'file' | 'message'> & { readonly offset: unknown },
  directory: string,
): Html {
  const place = `${file}${typeof offset === 'number' ? `:${offset}` : ''}`
  const within = (text: string): string => text.replaceAll(`${directory}/`, '')
  return markup`<li><code>${within(place)}</code> ${within(message)}</li>
`
}

export function tableSection({ inspected, opened, directory, freeBytes }: Facts): Html {
  if (inspected === undefined) return NOTHING
  const { manifest, files, log, hiding, logRecords } = inspected
  const combine = combineOf(manifest)
  const stats = opened?.stats
  const filters = [...new Set(files.flatMap(({ filterBitsPerKey }) => filterBitsPerKey ?? []))].sort(
    (a, b) => a - b,
  )
  const meta = opened === undefined ? '' : JSON.stringify(opened.meta, undefined, 2)
  const sizes: readonly (readonly [string, number])[] =
    stats === undefined
      ? []
      : [
          ['data pages of bucket files', stats.dataBytesOnDisk],
          [
            'filters, first keys and footers',
            files.reduce((sum, file) => sum + file.bytes, 0) - stats.dataBytesOnDisk,
          ],
          ['log with records', stats.logBytesOnDisk],
          ['spare log segments', stats.spareBytesOnDisk],
          ['all, as the file system counts', stats.bytesOnDisk],
        ]
  return markup`<section>
    <h2>What the table is</h2>
    <div class="beside"><div>
    ${htmlList([
      ['directory', directory],
      ['schema', schemaText(manifest.schema)],
      combine === undefined
        ? ['records of one key', manifest.duplicates === 'keep' ? 'are kept' : String(manifest.duplicates)]
        : ['records of one key', `are combined: ${combineText(combine)}`],
      ['page', formatBytes(manifest.pageBytes)],
      ['filters', filters.length === 0 ? 'none yet' : `${filterText(filters)} bits for a key`],
      ['permissions', fileModeText(manifest.mode)],
      ['format', `version ${MANIFEST_VERSION}`],
      ['table id', manifest.tableId],
      [
        'life',
        `number ${formatCount(manifest.epoch)}, ${manifest.clean ? 'closed' : 'open in a program, or ended without a close'}`,
      ],
      [
        'put in its life',
        `${formatCount(stats?.recordsPut ?? manifest.counters.records)} records, ${sizeText(stats?.recordBytesPut ?? manifest.counters.recordBytes)}`,
      ],
      [
        'records',
        `${formatCount(files.reduce((sum, file) => sum + file.records, 0))} in bucket files, ${formatCount(logRecords)} in the log`,
      ],
      [
        'deletes',
        `of keys ${formatCount(hiding.deleteKeys)}, of records ${formatCount(hiding.deleteRecords)}, by fields or range ${formatCount(hiding.deleteWheres)}`,
      ],
      ['log segments', formatCount(log.length)],
      ['free on the disk', freeBytes === undefined ? 'not known' : sizeText(freeBytes)],
    ])}
    </div><div>
    ${
      sizes.length === 0
        ? NOTHING
        : htmlTable(
            'Sizes',
            ['what', 'size', 'bytes'],
            sizes.map(([what, bytes]) => [what, sizeText(bytes), formatCount(bytes)]),
            [1, 2],
          )
    }
    ${
      meta === '' || meta === '{}'
        ? NOTHING
        : markup`<h3>Metadata</h3>
            <pre>${meta.length > META_LETTERS ? `${shortLines(meta)}…` : meta}</pre>`
    }
    </div></div>
  </section>`
}

function filterText(bits: readonly number[]): string {
  const [least, most] = [bits[0]!, bits.at(-1)!]
  return least === most ? String(least) : `${least} to ${most}`
}

/** Not in the middle of a character. */
function shortLines(text: string): string {
  return Array.from(text.slice(0, META_LETTERS)).slice(0, -1).join('')
}

/** What there is, where no manifest says what it means. */
export function directorySection({ directoryFiles, inspected }: Facts): Html {
  if (inspected !== undefined) return NOTHING
  return markup`<section>
    <h2>What is in the directory</h2>
    <p>The manifest says which of the files count, and how to read them. It cannot be read.</p>
    ${htmlTable(
      'Files',
      ['file', 'bytes'],
      directoryFiles.map(({ name, bytes }) => [shortText(name, 80), formatCount(bytes)]),
      [1],
    )}
  </section>`
}
