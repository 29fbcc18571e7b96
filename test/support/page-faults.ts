/** What a reader of a page could not read, as a browser has drawn it. */

/** Runs in the page: what a reader could not read. */
export const FAULTS = `
  const faults = []
  const shown = [...document.querySelectorAll('svg')].filter(svg => svg.getBoundingClientRect().width > 0)
  for (const svg of shown) {
    const frame = svg.getBoundingClientRect()
    if (frame.width < 0.95 * svg.viewBox.baseVal.width) faults.push('a picture is made smaller')
    const texts = [...svg.querySelectorAll('text')].map(text => [text.textContent, text.getBoundingClientRect()])
    texts.forEach(([name, box], i) => {
      if (box.left < frame.left - 1 || box.right > frame.right + 1 || box.top < frame.top - 1 || box.bottom > frame.bottom + 1)
        faults.push('"' + name + '" is cut')
      for (const [other, its] of texts.slice(i + 1))
        if (box.left < its.right - 1 && its.left < box.right - 1 && box.top < its.bottom - 3 && its.top < box.bottom - 3)
          faults.push('"' + name + '" and "' + other + '" overlap')
    })
  }
  const wide = [...document.querySelectorAll('body *')].filter(element => !element.closest('.scroll') &&
    !element.closest('svg') && element.getBoundingClientRect().right > innerWidth + 1)
  for (const element of wide) faults.push(element.localName + ' is wider than the page')
  return { faults, pictures: shown.length, ink: getComputedStyle(document.body).color }
`

/** Of `rgb(18, 23, 28)`, from 0 to 255. */
export function brightness(colour: string): number {
  const [red, green, blue] = colour.match(/\d+/g)!.map(Number)
  return (red! + green! + blue!) / 3
}
