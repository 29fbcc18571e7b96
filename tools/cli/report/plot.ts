/** Draws with Observable Plot on a document of linkedom: two packages that only a report needs. docs/decisions/observable-plot.md. */
import { escaped } from './html.js'
import { loadPackage, MissingPackageError } from '../formats/packages.js'

/** The part of @observablehq/plot that is used here. */
interface PlotLibrary {
  plot(options: object): Drawing
  areaY(data: readonly object[], options: object): object
  barX(data: readonly object[], options: object): object
  barY(data: readonly object[], options: object): object
  line(data: readonly object[], options: object): object
  rect(data: readonly object[], options: object): object
  rectY(data: readonly object[], options: object): object
  ruleX(values: readonly number[], options?: object): object
  ruleY(values: readonly number[], options?: object): object
  text(data: readonly object[], options: object): object
  tickX(data: readonly object[], options: object): object
}

interface Drawing {
  readonly outerHTML: string
  setAttribute(name: string, value: string): void
  removeAttribute(name: string): void
  querySelectorAll(selector: string): Iterable<{ remove(): void; removeAttribute(name: string): void }>
}

interface Dom {
  parseHTML(html: string): { readonly document: object }
}

/** Stands in for the text, in which linkedom would leave `<` as it is. */
const ALT = 'alt'
const FONT_SIZE = '12'
const PACKAGES = ['@observablehq/plot', 'linkedom'] as const

export class Plot {
  readonly marks: PlotLibrary
  readonly #document: object

  private constructor(library: PlotLibrary, dom: Dom) {
    this.marks = library
    this.#document = dom.parseHTML('<html></html>').document
  }

  /** Throws a {@link MissingPackageError} that names all that must be installed. */
  static async load(): Promise<Plot> {
    const [library, dom] = await Promise.allSettled([
      loadPackage<PlotLibrary>(PACKAGES[0], 'report'),
      loadPackage<Dom>(PACKAGES[1], 'report'),
    ])
    if (library.status === 'fulfilled' && dom.status === 'fulfilled')
      return new Plot(library.value, dom.value)
    for (const { status, reason } of [library, dom] as { status: string; reason?: unknown }[])
      if (status === 'rejected' && !(reason instanceof MissingPackageError)) throw reason
    const missing = PACKAGES.filter((_, i) => [library, dom][i]!.status === 'rejected')
    throw new MissingPackageError(
      `report draws with the package${missing.length > 1 ? 's' : ''} ${missing.join(' and ')}; ` +
        `install: npm install ${missing.join(' ')}`,
    )
  }

  /**
   * An SVG for a page whose style sheet has the colours. `alt`: what it shows, for those who cannot see it; `undefined` if
   * the text of another one tells it.
   */
  draw(alt: string | undefined, options: object): string {
    const drawing = this.marks.plot({ document: this.#document, ...options })
    if (alt === undefined) drawing.setAttribute('aria-hidden', 'true')
    else {
      drawing.setAttribute('role', 'img')
      drawing.setAttribute('aria-label', ALT)
    }
    drawing.setAttribute('font-size', FONT_SIZE)
    for (const name of ['class', 'font-family']) drawing.removeAttribute(name)
    for (const style of drawing.querySelectorAll('style')) style.remove()
    // One text tells it all.
    for (const part of drawing.querySelectorAll('g[aria-label]')) part.removeAttribute('aria-label')
    // A hundredth of a pixel is enough, and a third of the bytes.
    const svg = drawing.outerHTML.replaceAll(/(?<=[ "(,MLHVZ-])\d+\.\d{3,}(?=[ ",)MLHVZ-])/g, number =>
      String(Number(Number(number).toFixed(2))),
    )
    return alt === undefined ? svg : svg.replace(`"${ALT}"`, () => `"${escaped(alt)}"`)
  }
}
