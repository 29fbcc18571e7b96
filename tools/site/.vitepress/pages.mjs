/** What the side of each page lists: every document, by folder, with its first heading. */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

/** Pages that come first, in this order; what is not named follows by name. */
const FIRST = ['tutorial', 'choosing-options', 'ways-to-put', 'keys', 'ways-in-and-out']

/** What a new user reads. */
export function guide(root) {
  return [
    { text: 'Overview', link: '/' },
    { text: 'Guide', items: byPlace(itemsOf(root, 'guide')) },
    { text: 'Examples', collapsed: true, items: examples(root) },
  ]
}

/** What is looked up. */
export function pages(root) {
  const reference = ['api', 'durability', 'benchmarks']
  const inside = ['architecture', 'internals', 'file-format']
  return [
    { text: 'Reference', items: reference.map(name => item(root, `${name}.md`)) },
    {
      text: 'Inside',
      items: [
        ...inside.map(name => item(root, `${name}.md`)),
        { text: 'Contributing', link: '/CONTRIBUTING' },
        { text: 'Security', link: '/SECURITY' },
      ],
    },
    { text: 'Decisions', collapsed: true, items: itemsOf(root, 'decisions') },
  ]
}

function itemsOf(root, folder) {
  const names = readdirSync(join(root, 'docs', folder))
    .filter(name => name.endsWith('.md'))
    .sort()
  return names.map(name => item(root, `${folder}/${name}`))
}

function examples(root) {
  const folder = join(root, 'docs/examples')
  const names = readdirSync(folder).filter(name => existsSync(join(folder, name, 'README.md')))
  return [item(root, 'examples/README.md'), ...names.map(name => item(root, `examples/${name}/README.md`))]
}

function item(root, path) {
  const [, heading] = /^# (.+)$/m.exec(readFileSync(join(root, 'docs', path), 'utf8'))
  return {
    text: heading.replaceAll('`', ''),
    link: `/${path.replace(/README\.md$/, '').replace(/\.md$/, '')}`,
  }
}

function byPlace(items) {
  const placeOf = ({ link }) => {
    const place = FIRST.indexOf(link.split('/').at(-1))
    return place < 0 ? FIRST.length : place
  }
  // The index of a folder has no name, and is the first.
  return items.toSorted(
    (a, b) => Number(b.link.endsWith('/')) - Number(a.link.endsWith('/')) || placeOf(a) - placeOf(b),
  )
}
