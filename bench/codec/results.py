"""The results of bench/codec: rows, tsv, table, picture."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), 'calls'))
from report import cpu_model  # noqa: E402
from goals import GENERATED, LIMITS, RATIOS, TABLES, WHAT  # noqa: E402


class Row:
    """One work against one peer (None: a limit of our own), with run-time tables and generated."""

    def __init__(self, work, peer, best):
        self.work, self.peer, self.unit = work, peer, None
        self.theirs = best.get((work, peer), (None, None))[0]
        self.ours, self.ratio, self.goal, self.met = [], [], [], []
        goals = RATIOS.get((work, peer)) or (peer is None and LIMITS.get(work)) or (None, None)
        for who, goal in zip((TABLES, GENERATED), goals):
            value, unit = best.get((work, who), (None, None))
            self.unit = self.unit or unit
            ratio = self.theirs / value if value and self.theirs is not None else None
            self.ours.append(value)
            self.ratio.append(ratio)
            self.goal.append(goal)
            if goal is None or value is None:
                self.met.append(None if goal is None else False)
            elif peer is None:
                self.met.append(value <= goal)
            else:
                self.met.append(ratio >= goal)

    def slower(self):
        """Below a peer's speed, whatever the goal is."""
        return self.unit == 'ns' and self.peer not in (None, 'scan') and any(r is not None and r < 1 for r in self.ratio)


def rows_of(best, works, peers):
    rows = []
    for work in works:
        against = [p for p in peers if (work, p) in best]
        if work in LIMITS or not against:
            rows.append(Row(work, None, best))
        rows += [Row(work, p, best) for p in against]
    return rows


def number(v):
    if v is None:
        return ''
    return f'{v:,.0f}' if abs(v) >= 100 else f'{v:.3g}'


def write_tsv(path, rows, cpu):
    with open(path, 'w') as f:
        f.write('work\tpeer\tours\ttheirs\tratio\tgoal\tcpu\n')
        for r in rows:
            for k, suffix in enumerate(('', ', generated')):
                if r.ours[k] is None and r.goal[k] is None:
                    continue
                f.write('\t'.join([r.work + suffix, r.peer or '', '' if r.ours[k] is None else f'{r.ours[k]:.6g}', '' if r.theirs is None else f'{r.theirs:.6g}',
                                   '' if r.ratio[k] is None else f'{r.ratio[k]:.2f}', '' if r.goal[k] is None else f'{r.goal[k]:.3g}', cpu]) + '\n')


def cell(row, k):
    if row.ours[k] is None:
        return '**missing**' if row.goal[k] is not None else ''
    if row.peer is None:
        text, goal = '', '' if row.goal[k] is None else f'at most {row.goal[k]:g}'
    else:
        text, goal = f'{row.ratio[k]:.2f}x' if row.ratio[k] is not None else '', '' if row.goal[k] is None else f'goal {row.goal[k]:.3g}'
    both = ', '.join(part for part in (text, goal) if part)
    return f'**{both}, missed**' if row.met[k] is False else both


def table(rows):
    out = ['| work | peer | theirs | ours, tables | | ours, generated | |', '|---|---|---:|---:|---|---:|---|']
    for r in rows:
        unit = f' {r.unit}' if r.unit else ''
        out.append(f'| {r.work} | {r.peer or ""} | {number(r.theirs)}{unit if r.theirs is not None else ""} | {number(r.ours[0])}{unit if r.ours[0] is not None else ""} | '
                   f'{cell(r, 0)} | {number(r.ours[1])}{unit if r.ours[1] is not None else ""} | {cell(r, 1)} |')
    return '\n'.join(out) + '\n'


def losses(rows):
    """Where we lose, in words."""
    out = []
    for r in rows:
        for k, how in enumerate(('tables', 'generated')):
            if r.met[k] is False:
                against = f' against {r.peer}' if r.peer else ''
                have = 'not measured' if r.ours[k] is None else (f'{r.ratio[k]:.2f}' if r.peer else number(r.ours[k]))
                out.append(f'- {r.work}{against}, {how}: {have}, goal {"" if r.peer else "at most "}{r.goal[k]:.3g}')
        if r.slower():
            out.append(f'- {r.work}: **slower than {r.peer}** ({min(x for x in r.ratio if x is not None):.2f})')
    return out


def picture(rows, cpu):
    """Two bars a row, tables and generated: how many times faster; a stroke where the goal lies."""
    bars = [r for r in rows if r.peer and r.unit == 'ns' and r.ratio[0] is not None or r.peer and r.unit == 'ns' and r.ratio[1] is not None]
    bars = [r for r in bars if (r.work, r.peer) in RATIOS and r.peer != 'scan']
    widest = max([x for r in bars for x in r.ratio if x] + [g for r in bars for g in r.goal if g] + [1])
    height = 60 + 30 * len(bars)
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="860" height="{height}" font-family="sans-serif" font-size="12">',
           f'<rect width="860" height="{height}" fill="white"/>',
           f'<text x="10" y="18" fill="#333" font-size="13">Times faster than the peer ({cpu})</text>',
           '<rect x="10" y="28" width="12" height="10" fill="#0b7a75"/><text x="26" y="37" fill="#333">run-time tables</text>',
           '<rect x="130" y="28" width="12" height="10" fill="#7fb7b2"/><text x="146" y="37" fill="#333">generated</text>',
           '<rect x="220" y="28" width="2" height="10" fill="#b56576"/><text x="228" y="37" fill="#333">goal</text>']
    for i, r in enumerate(bars):
        y = 50 + 30 * i
        out.append(f'<text x="10" y="{y + 15}" fill="#333">{r.work} / {r.peer}</text>')
        for k, colour in enumerate(('#0b7a75', '#7fb7b2')):
            if r.ratio[k] is not None:
                width = 400 * r.ratio[k] / widest
                out.append(f'<rect x="380" y="{y + 12 * k}" width="{width:.0f}" height="11" fill="{colour}"/>'
                           f'<text x="{386 + width:.0f}" y="{y + 10 + 12 * k}" fill="#333" font-size="11">{r.ratio[k]:.1f}</text>')
            if r.goal[k] is not None:
                x = 380 + 400 * r.goal[k] / widest
                out.append(f'<rect x="{x:.0f}" y="{y + 12 * k - 1}" width="2" height="13" fill="#b56576"/>')
    return '\n'.join(out + ['</svg>']) + '\n'


def write_docs(root, name, title, intro, rows, cpu):
    folder = f'{root}/docs/bench'
    os.makedirs(folder, exist_ok=True)
    write_tsv(f'{folder}/{name}.tsv', rows, cpu)
    lost = losses(rows)
    with open(f'{folder}/{name}.md', 'w') as f:
        f.write(f'# {title}\n\n{intro}\n\n![times faster]({name}.svg)\n\n## Where we lose\n\n' + ('\n'.join(lost) if lost else 'Nowhere in this table.') +
                '\n\n## All figures\n\n' + table(rows))
    with open(f'{folder}/{name}.svg', 'w') as f:
        f.write(picture(rows, cpu))
    return lost


def data_sets():
    return '; '.join(f'`{name}`: {what}' for name, what in WHAT.items())
