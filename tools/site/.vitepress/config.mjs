/**
 * The documentation as static pages: the README and all of docs/, as they are. Links to other files of the repository lead to
 * where it is published.
 */
import { existsSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vitepress'
import { guide, pages } from './pages.mjs'

const ROOT = fileURLToPath(new URL('../../..', import.meta.url))
const STAGED = join(import.meta.dirname, '../pages')
const REPOSITORY = 'https://github.com/flashtable/flashtable'

/** Sorted pages. */
const ICON =
  '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16" fill="#3451b2"><path d="M2 2h12v3H2zM2 6.5h9v3H2zM2 11h6v3H2z"/></svg>'

export default defineConfig({
  title: 'flashtable',
  description: 'An embedded multimap of fixed-width records that spares flash devices',
  // Below any path of a host, if that is told when the site is built.
  base: process.env.SITE_BASE ?? '/',
  // The generator finds its packages from each page, so pages that lie elsewhere are copied here: stage.mjs.
  srcDir: './pages',
  outDir: './dist',
  cacheDir: './node_modules/.vitepress',
  rewrites: placeOf,
  head: [['link', { rel: 'icon', href: `data:image/svg+xml,${encodeURIComponent(ICON)}` }]],
  markdown: {
    // In the documents, <T> and {{ x }} are what they look like, not components.
    html: false,
    anchor: { slugify: anchorOf },
    config: md => {
      md.core.ruler.push('links-to-files', state => {
        // Bytes have no grammar.
        for (const token of state.tokens)
          if (token.type === 'fence' && token.info.startsWith('hex')) token.info = 'txt'
        for (const token of linksOf(state.tokens)) linkToFile(token, state.env.realPath ?? state.env.path)
      })
    },
  },
  themeConfig: {
    nav: [
      { text: 'Guide', link: '/guide/tutorial' },
      { text: 'API', link: '/api' },
      { text: 'Examples', link: '/examples/' },
      { text: 'Benchmarks', link: '/benchmarks' },
    ],
    sidebar: [...guide(ROOT), ...pages(ROOT)],
    outline: { level: [2, 3] },
    search: { provider: 'local' },
    socialLinks: [{ icon: 'github', link: REPOSITORY }],
  },
})

/** As the places where the repository is read make it: lower case, words with dashes. */
function anchorOf(heading) {
  return heading
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N} _-]/gu, '')
    .replaceAll(' ', '-')
}

function linksOf(tokens) {
  return tokens.flatMap(({ children }) => children ?? []).filter(({ type }) => type === 'link_open')
}

/** Links to pages lead to where these are on the site; links to other files, to the repository. */
function linkToFile(token, page) {
  const href = token.attrGet('href')
  if (href === null || /^([a-z]+:|#|\/)/.test(href)) return
  const [target, ...anchor] = href.split(/(?=#)/)
  const path = pathOf(join(dirname(relative(STAGED, page)), decodeURIComponent(target)))
  if (path === undefined) throw new Error(`${page}: there is no ${target}`)
  const isPage = existsSync(join(STAGED, path))
  token.attrSet(
    'href',
    [isPage ? `/${placeOf(path)}` : `${REPOSITORY}/blob/main/${path}`, ...anchor].join(''),
  )
}

/** A folder stands for its README. */
function pathOf(path) {
  if (!existsSync(join(ROOT, path))) return undefined
  const readme = join(path, 'README.md')
  return existsSync(join(ROOT, readme)) ? readme : path
}

/** The place of a page on the site. */
function placeOf(path) {
  return path.replace(/^docs\//, '').replace(/(^|\/)README\.md$/, '$1index.md')
}
