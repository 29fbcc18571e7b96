/** The style sheet of a report: the colours of the system's scheme, one column on a phone, two on a wide screen. */

export const STYLE = `
:root {
  color-scheme: light dark;
  --paper: #ffffff; --ink: #1b2530; --soft: #5a6775; --line: #d5dce3; --panel: #f4f6f8;
  --c1: #1b7f5c; --c2: #2f6fb7; --c3: #b96a00; --c4: #8a4fa8; --c5: #6b7785;
  --act: #b3261e; --consider: #9a5b00; --fine: #1b7f5c;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #12171c; --ink: #e6ebf0; --soft: #a3b1be; --line: #36424d; --panel: #1b232b;
    --c1: #4fc79a; --c2: #6ea8ef; --c3: #f0ac47; --c4: #cc9bea; --c5: #93a1af;
    --act: #ff8f86; --consider: #f0ac47; --fine: #4fc79a;
  }
}
* { box-sizing: border-box; }
html { background: var(--paper); color: var(--ink); font: 16px/1.5 system-ui, 'DejaVu Sans', sans-serif; }
body { margin: 0 auto; max-width: 1320px; padding: 16px; overflow-wrap: anywhere; }
h1 { font-size: 1.6rem; line-height: 1.25; margin: 0; }
h2 { font-size: 1.2rem; margin: 2.5rem 0 0.5rem; padding-top: 1rem; border-top: 1px solid var(--line); }
h3 { font-size: 1rem; margin: 0; }
p { margin: 0.5rem 0; max-width: 75ch; }
code { font: 0.9em ui-monospace, 'DejaVu Sans Mono', monospace; }
pre { margin: 0.5rem 0; padding: 0.5rem 0.75rem; background: var(--panel); border-radius: 4px; white-space: pre-wrap; }
.soft, figcaption, caption, dt { color: var(--soft); }
.verdict { margin: 1rem 0; padding: 0.75rem 1rem; border-left: 6px solid var(--fine); background: var(--panel);
  font-size: 1.2rem; max-width: none; }
.verdict.act { border-color: var(--act); }
.verdict.consider { border-color: var(--consider); }
.advice { list-style: none; margin: 0; padding: 0; display: grid; gap: 1rem; }
.advice li { padding: 0 0 0 1rem; border-left: 3px solid var(--line); }
.advice li.act { border-color: var(--act); }
.advice li.consider { border-color: var(--consider); }
.urgency { font-weight: 600; }
.act .urgency { color: var(--act); }
.consider .urgency { color: var(--consider); }
.know .urgency { color: var(--soft); }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(150px, 1fr)); gap: 0.75rem; margin: 1rem 0; }
.tiles > div { padding: 0.6rem 0.8rem; background: var(--panel); border-radius: 4px; }
.tiles dt { font-size: 0.85rem; }
.tiles dd { margin: 0; font-size: 1.15rem; }
section dl, li dl { margin: 0.5rem 0; }
section dl > div, li dl > div { display: grid; grid-template-columns: minmax(110px, 220px) 1fr; gap: 0 1rem; }
dd { margin: 0; }
figure { margin: 1rem 0; }
figure svg { display: block; max-width: 100%; height: auto; }
figure text { white-space: pre; }
.narrow { display: none; }
figcaption { font-size: 0.85rem; margin-top: 0.25rem; }
.key { display: inline-block; margin-right: 1rem; }
.key::before { content: ''; display: inline-block; width: 0.8em; height: 0.8em; margin-right: 0.35em;
  background: var(--c); vertical-align: -0.05em; }
.key.none::before { display: none; }
.c1 { --c: var(--c1); } .c2 { --c: var(--c2); } .c3 { --c: var(--c3); } .c4 { --c: var(--c4); } .c5 { --c: var(--c5); }
.scroll { overflow-x: auto; margin: 1rem 0; }
table { border-collapse: collapse; font-size: 0.9rem; font-variant-numeric: tabular-nums; overflow-wrap: normal; }
caption { text-align: left; padding-bottom: 0.25rem; }
th, td { padding: 0.2rem 0.8rem 0.2rem 0; text-align: left; vertical-align: top; border-bottom: 1px solid var(--line); }
th { font-weight: 600; }
thead th, thead .number { white-space: normal; vertical-align: bottom; }
tbody th { font-weight: 400; }
.number { text-align: right; white-space: nowrap; }
summary { cursor: pointer; }
footer { margin-top: 3rem; font-size: 0.85rem; color: var(--soft); }
@media (max-width: 820px) { .narrow { display: block; } .wide { display: none; } }
@media (min-width: 1200px) {
  .beside figure + div dl > div { grid-template-columns: 1fr; margin-bottom: 0.5rem; }
  .beside { display: grid; grid-template-columns: 740px 1fr; gap: 0 2.5rem; align-items: start; }
}
@media (max-width: 500px) { section dl > div, li dl > div { grid-template-columns: 1fr; margin-bottom: 0.4rem; } }
@media print { .scroll { overflow: visible; } }
`
