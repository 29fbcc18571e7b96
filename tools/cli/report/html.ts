/** Pieces of HTML. A text within {@link markup} is escaped: names and paths of a table may hold anything. */
import { visible } from '../../../src/base/describe-value.js'

/** Markup that is ready for a page. Requires: every text in it was escaped. */
export class Html {
  readonly text: string

  constructor(text: string) {
    this.text = text
  }
}

type Value = string | Html | readonly Html[]

/** `` markup`<p>${'a & b'}</p>` ``: texts are escaped, markup is taken as it is, lists are joined. */
export function markup(parts: TemplateStringsArray, ...values: readonly Value[]): Html {
  return new Html(parts.map((part, i) => part + (i < values.length ? markupOf(values[i]!) : '')).join(''))
}

export const NOTHING = new Html('')

function markupOf(value: Value): string {
  if (typeof value === 'string') return escaped(value)
  return value instanceof Html ? value.text : value.map(({ text }) => text).join('')
}

/** What would act in a page, or turn the text around, does not. */
export function escaped(text: string): string {
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
  const kind = (column: number): Html => (numbers.includes(column) ? markup` class="number"` : NOTHING)
  return markup`<div class="scroll" role="region" tabindex="0" aria-label="${caption}">
    <table>
      <caption>
        ${caption}
      </caption>
      <thead>
        <tr>
          ${head.map((name, i) => markup`<th scope="col" ${kind(i)}>${name}</th>`)}
        </tr>
      </thead>
      <tbody>
        ${rows.map(
          row =>
            markup`<tr>
              ${row.map((cell, i) => (i === 0 ? markup`<th scope="row" ${kind(i)}>${cell}</th>` : markup`<td${kind(i)}>${cell}</td>`))}
            </tr> `,
        )}
      </tbody>
    </table>
  </div>`
}

/** Names and what they are, without a head. */
export function htmlList(rows: readonly (readonly [name: string, value: string | Html])[]): Html {
  return markup`<dl>
    ${rows.map(
      ([name, value]) =>
        markup`<div>
          <dt>${name}</dt>
          <dd>${value}</dd>
        </div> `,
    )}
  </dl>`
}
