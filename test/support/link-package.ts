/** Gives a project of a test a package that this repository has, without an installation. */
import { mkdir, symlink } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'

const REPOSITORY = resolve(import.meta.dirname, '../..')

/** Links the package into the project's node_modules, from the node_modules of `from`. Its own packages are found there. */
export async function linkPackage(name: string, project: string, from = REPOSITORY): Promise<void> {
  const link = join(project, 'node_modules', name)
  await mkdir(dirname(link), { recursive: true })
  await symlink(join(from, 'node_modules', name), link)
}
