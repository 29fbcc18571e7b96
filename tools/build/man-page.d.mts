import type { Command } from 'commander'

export function manPage(
  program: Command,
  options: { readonly version: string; readonly exitCodes: string },
): string
