/** Pieces of HTML. A text within {@link html} is escaped: names and paths of a table may hold anything. */
import { visible } from '../../../src/base/describe-value.js'

/** Markup that is ready for a page. Requires: every text in it was escaped. */
export class Html {
  readonly markup: string

  constructor(markup: string) {
    this.markup = markup
  }
}

type Value = string | Html | readonly Html[]

/** `` html`<p>${'a & b'}</p>` ``: texts are escaped, markup is taken as it is, lists are joined. */
export function html(parts: TemplateStringsArray, ...values: readonly Value[]): Html {
  return new Html(parts.map((part, i) => part + (i < values.length ? markupOf(values[i]!) : '')).join(''))
}

export const NOTHING = new Html('')

function markupOf(value: Value): string {
  if (typeof value === 'string') return escaped(value)
  return value instanceof Html ? value.markup : value.map(({ markup }) => markup).join('')
}

/** What would act in a page, or turn the text around, does not. */
function escaped(text: string): string {
  return visible(text, '\n')
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;')
    .replaceAll("'", '&#39;')
}

/** A table with a head. Cells of columns in `numbers` stand at the right. */
export function htmlTable(
  caption: string,
  head: readonly string[],
  rows: readonly (readonly (string | Html)[])[],
  numbers: readonly number[] = [],
): Html {
  const kind = (column: number): Html => (numbers.includes(column) ? html` class="number"` : NOTHING)
  return html`<div class="scroll" role="region" tabindex="0" aria-label="${caption}">
    <table>
      <caption>
        ${caption}
      </caption>
      <thead>
        <tr>
          ${head.map((name, i) => html`<th scope="col" ${kind(i)}>${name}</th>`)}
        </tr>
      </thead>
      <tbody>
        ${rows.map(
          row =>
            html`<tr>
              ${row.map((cell, i) => (i === 0 ? html`<th scope="row" ${kind(i)}>${cell}</th>` : html`<td${kind(i)}>${cell}</td>`))}
            </tr> `,
        )}
      </tbody>
    </table>
  </div>`
}

/** Names and what they are, without a head. */
export function htmlList(rows: readonly (readonly [name: string, value: string | Html])[]): Html {
  return html`<dl>
    ${rows.map(
      ([name, value]) =>
        html`<div>
          <dt>${name}</dt>
          <dd>${value}</dd>
        </div> `,
    )}
  </dl>`
}
