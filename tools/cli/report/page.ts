/** The page of a report: one file that loads nothing and runs nothing. */
import { headLine, type Advice, type Urgency } from './advice.js'
import type { Facts } from './facts.js'
import type { Figures } from './figures.js'
import { Html, markup, htmlList, NOTHING } from './html.js'
import type { Plot } from './plot.js'
import { bitsSection, filesSection, keysSection, latencySection, wearSection } from './sections.js'
import { STYLE } from './style.js'
import { directorySection, tableSection, verifySection } from './sizes.js'
import { roundText, sizeText, timeText } from '../words.js'
import { formatCount } from '../output.js'

/** Nothing is loaded and nothing runs, whatever a text of the table would be taken for. */
const POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"

const URGENCIES: Readonly<Record<Urgency, string>> = {
  act: 'Do now',
  consider: 'Worth doing',
  know: 'Good to know',
}

export interface Page {
  readonly facts: Facts
  readonly figures: Figures
  readonly advice: readonly Advice[]
  /** Of flashtable. */
  readonly version: string
}

export function pageOf(plot: Plot, { facts, figures, advice, version }: Page): string {
  const page = markup`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta http-equiv="Content-Security-Policy" content="${POLICY}" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta name="color-scheme" content="light dark" />
        <meta name="referrer" content="no-referrer" />
        <title>${facts.name}: flashtable report</title>
        <style>
          ${new Html(STYLE)}
        </style>
      </head>
      <body>
        <header>
          <h1>${facts.name}</h1>
          <p class="soft">
            A table of flashtable in <code>${facts.directory}</code>, looked at on ${timeText(facts.madeAt)}
          </p>
        </header>
        <main>
          ${adviceSection(advice, figures)} ${tiles(facts, figures)}
          ${[
            wearSection(plot, facts),
            latencySection(plot, facts),
            filesSection(plot, facts),
            bitsSection(plot, facts),
            keysSection(plot, facts),
            verifySection(facts),
            tableSection(facts),
            directorySection(facts),
          ]}
        </main>
        <footer>Made by flashtable ${version}. This page loads nothing and runs nothing.</footer>
      </body>
    </html> `
  return page.text
}

function adviceSection(advice: readonly Advice[], figures: Figures): Html {
  const urgency = advice[0]?.urgency ?? 'know'
  return markup`<p class="verdict ${urgency}">${headLine(advice, figures)}</p>
    ${
      advice.length === 0
        ? NOTHING
        : markup`<ul class="advice">
            ${advice.map(adviceItem)}
          </ul>`
    }`
}

function adviceItem({ urgency, title, text, command, figures }: Advice): Html {
  const rows = Object.entries(figures)
  return markup`<li class="${urgency}">
    <h3><span class="urgency">${URGENCIES[urgency]}:</span> ${title}</h3>
    <p>${text}</p>
    ${command === undefined ? NOTHING : markup`<pre><code>${command}</code></pre>`}
    ${rows.length === 0 ? NOTHING : htmlList(rows)}
  </li>`
}

function tiles({ opened, verification }: Facts, figures: Figures): Html {
  if (opened === undefined) return NOTHING
  const { stats } = opened
  const records = `${stats.recordsAreExact ? '' : 'up to '}${formatCount(stats.records)}`
  const each = stats.records === 0 ? [] : [['bytes a record', roundText(stats.bytesOnDisk / stats.records)]]
  const verified =
    verification === undefined
      ? 'no'
      : verification.problems.length === 0
        ? 'all intact'
        : `${formatCount(verification.problems.length)} damaged`
  const rows = [
    ['records', records],
    ['on disk', sizeText(stats.bytesOnDisk)],
    ...each,
    ['written for a byte put', stats.recordBytesPut === 0 ? '-' : roundText(stats.writeAmplification)],
    ['bucket files', formatCount(figures.files)],
    ['verified', verified],
  ]
  return markup`<dl class="tiles">
    ${rows.map(
      ([name, value]) =>
        markup`<div>
          <dt>${name!}</dt>
          <dd>${value!}</dd>
        </div>`,
    )}
  </dl>`
}
