/** 64 bytes come from memory together, on every processor that Node.js runs on but a few with twice as many. */
export const WORDS_PER_LINE = 16
