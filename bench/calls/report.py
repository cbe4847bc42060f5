"""The results as a tsv, a table and a picture."""
import os
import platform


def cpu_model():
    with open('/proc/cpuinfo') as f:
        rows = dict((part.strip() for part in line.split(':', 1)) for line in f.read().split('\n\n')[0].splitlines() if ':' in line)
    name = rows.get('model name', platform.machine())
    return f'{name} (family {rows.get("cpu family", "?")}, model {rows.get("model", "?")})'


def write(root, works, peers, best, goals, counted, arguments, seconds, docs):
    cpu = cpu_model()
    rows = []
    for work in works:
        ours = best.get((work.name, 'zcrpc'))
        for peer in peers[1:]:
            theirs = best.get((work.name, peer.name))
            if ours and theirs:
                rows.append((work, peer, ours, theirs, theirs[0] / ours[0], goals.get((work.name, peer.name))))
        # gRPC C++ does not speak Connect; its gRPC time for the same echo is what a Connect call is held against.
        twin = work.name.replace('connect-', 'grpc-')
        for peer in peers[1:]:
            if work.kind == 'connect' and 'connect' not in peer.kinds and (twin, peer.name) in best and ours:
                theirs = best[twin, peer.name]
                rows.append((work, peer, ours, theirs, theirs[0] / ours[0], goals.get((work.name, peer.name))))
    os.makedirs(f'{root}/build/bench', exist_ok=True)
    with open(f'{root}/build/bench/calls.tsv', 'w') as f:
        f.write('work\tpeer\tours\ttheirs\tratio\tgoal\tcpu\n')
        for work, peer, ours, theirs, ratio, goal in rows:
            f.write(f'{work.name}\t{peer.name}\t{ours[0]:.2f}\t{theirs[0]:.2f}\t{ratio:.2f}\t{goal or ""}\t{cpu}\n')
    for work, peer, ours, theirs, ratio, goal in rows:
        verdict = '' if goal is None else ('goal met' if ratio >= goal else f'goal {goal} missed')
        print(f'{work.name:18} {peer.name:12} ours {ours[0]:7.2f} us, theirs {theirs[0]:7.2f} us: {ratio:5.2f}x  {verdict}')
    if docs:
        os.makedirs(f'{root}/docs/bench', exist_ok=True)
        with open(f'{root}/docs/bench/calls.md', 'w') as f:
            f.write(table(works, peers, best, rows, counted, arguments, seconds, cpu))
        with open(f'{root}/docs/bench/calls.svg', 'w') as f:
            f.write(picture(works, peers, best, cpu))


def table(works, peers, best, rows, counted, arguments, seconds, cpu):
    out = ['# Calls: CPU a request', '',
           f'Written by `scripts/bench calls` ({arguments.rounds} rounds, seed {arguments.seed}, {seconds:.0f} s in all,',
           f'load average {arguments.load:.1f} at its start) on {cpu}.',
           'Server on core 0, h2load on core 1, the same bytes to every peer. CPU a request is the server process\'s own user',
           'and system time over the requests it answered; each server is started afresh for each round; the minimum counts.', '',
           '![CPU a request](calls.svg)', '', '| work | server | CPU a request, us | requests/s | times ours | goal |', '|---|---|---:|---:|---:|---:|']
    for work in works:
        for peer in peers:
            if (work.name, peer.name) not in best:
                continue
            cpu_us, rate = best[work.name, peer.name]
            row = [r for r in rows if r[0] is work and r[1] is peer]
            ratio = f'{row[0][4]:.1f}' if row else ''
            goal = f'{row[0][5]}' if row and row[0][5] else ''
            name = peer.name + (f' {peer.version}' if peer.version else '') + (' (`return 200`)' if peer.canned else '')
            out.append(f'| {work.title} | {name} | {cpu_us:.2f} | {rate:,.0f} | {ratio} | {goal} |')
    cross = [r for r in rows if r[0].kind == 'connect' and 'connect' not in r[1].kinds]
    if cross:
        out += ['', 'Connect against the gRPC figure of a peer that does not speak Connect, same load:', '',
                '| work | peer | ours, us | theirs (gRPC), us | ratio | goal |', '|---|---|---:|---:|---:|---:|']
        out += [f'| {w.title} | {p.name} | {o[0]:.2f} | {t[0]:.2f} | {r:.1f} | {g or ""} |' for w, p, o, t, r, g in cross]
    out += ['', '## Our server\'s own counters', '',
            'From one more run each: allocations of the whole process after the 10,000th call, and payload copies.', '',
            '| work | calls | allocations | copies in | copies out |', '|---|---:|---:|---:|---:|']
    for work in works:
        v = counted.get(work.name)
        if v:
            out.append(f'| {work.title} | {v["calls"]:,} | {v["allocations"]} | {v["copies_in"]:,} | {v["copies_out"]:,} |')
    return '\n'.join(out) + '\n'


COLOURS = {'zcrpc': '#0b7a75', 'grpc++': '#8d99ae', 'nginx': '#c9a227'}


def picture(works, peers, best, cpu):
    """Bars, one group a work, all on one scale that the longest fills."""
    shown = [(w, [(p, best[w.name, p.name]) for p in peers if (w.name, p.name) in best]) for w in works]
    shown = [(w, bars) for w, bars in shown if bars]
    most = max(cpu_us for _, bars in shown for _, (cpu_us, _) in bars)
    y, lines = 44, []
    for work, bars in shown:
        lines.append(f'<text x="12" y="{y}" class="t">{work.title}</text>')
        y += 8
        for peer, (cpu_us, _) in bars:
            width = max(2.0, 560 * cpu_us / most)
            lines.append(f'<rect x="120" y="{y}" width="{width:.1f}" height="14" fill="{COLOURS.get(peer.name, "#999")}"/>')
            lines.append(f'<text x="112" y="{y + 11}" class="n" text-anchor="end">{peer.name}</text>')
            lines.append(f'<text x="{126 + width:.1f}" y="{y + 11}" class="n">{cpu_us:.1f}</text>')
            y += 18
        y += 22
    head = (f'<svg xmlns="http://www.w3.org/2000/svg" width="760" height="{y}" viewBox="0 0 760 {y}">'
            '<style>text{font-family:sans-serif;fill:#222}.h{font-size:14px;font-weight:bold}.t{font-size:12px}.n{font-size:11px}</style>'
            '<rect width="100%" height="100%" fill="#fff"/>'
            f'<text x="12" y="20" class="h">CPU a request in microseconds (less is better); {cpu}</text>')
    return head + '\n' + '\n'.join(lines) + '\n</svg>\n'
