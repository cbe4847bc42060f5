"""The results as a tsv, a table and a picture."""
import os
import platform
import shutil

import idle
import stream

IDLE_GOAL = {False: 14.0, True: 1.0}  # KB of 1,024 bytes
UNDER_LOAD_GOAL = 6.0                 # MB


def cpu_model():
    with open('/proc/cpuinfo') as f:
        rows = dict((part.strip() for part in line.split(':', 1)) for line in f.read().split('\n\n')[0].splitlines() if ':' in line)
    name = rows.get('model name', platform.machine())
    return f'{name} (family {rows.get("cpu family", "?")}, model {rows.get("model", "?")})'


class Row:
    """A line of the tsv: ours against one peer, and whether the goal is reached."""

    def __init__(self, work, title, peer, ours, theirs, ratio, goal, unit):
        self.work, self.title, self.peer, self.ours, self.theirs = work, title, peer, ours, theirs
        self.ratio, self.goal, self.unit = ratio, goal, unit

    def missed(self):
        return self.goal is not None and self.ratio < self.goal


def rows_of(works, peers, results, under_load):
    rows = []
    for work in works:
        ours = results.cpu[work.name, 'zcrpc']
        for peer in peers[1:]:
            theirs = results.cpu.get((work.name, peer.name))
            if theirs:
                rows.append(Row(work.name, work.title, peer.name, ours, theirs, theirs / ours, work.goals.get(peer.name), 'us CPU'))
    for http1 in (False, True):
        ours = results.idle.get((http1, 'zcrpc'))
        if ours is None:
            continue
        title = f'idle connection, HTTP/{"1.1" if http1 else "2"}'
        name = f'idle-http{1 if http1 else 2}'
        goal = IDLE_GOAL[http1]
        rows.append(Row(name, title, 'goal', ours / 1024, goal, goal * 1024 / max(ours, 1), 1.0, 'KB'))
        rows += [Row(name, title, p.name, ours / 1024, results.idle[http1, p.name] / 1024,
                     results.idle[http1, p.name] / max(ours, 1), None, 'KB') for p in peers[1:] if (http1, p.name) in results.idle]
    ours = results.memory.get((under_load, 'zcrpc'))
    if ours:
        mb = 1 << 20
        title = 'most resident memory, 64 connections under load'
        rows.append(Row('memory-64', title, 'goal', ours / mb, UNDER_LOAD_GOAL, UNDER_LOAD_GOAL * mb / ours, 1.0, 'MB'))
        rows += [Row('memory-64', title, p.name, ours / mb, results.memory[under_load, p.name] / mb,
                     results.memory[under_load, p.name] / ours, None, 'MB') for p in peers[1:] if (under_load, p.name) in results.memory and p.name != 'plain loop']
    if results.stream:
        ours, plain, _ = results.stream
        rows.append(Row('stream-1GiB', '1 GiB stream of 1 MiB messages', 'writev and read', ours / 1e9, plain / 1e9, ours / plain,
                        stream.GOAL, 'GB/s'))
    return rows


def write(root, works, peers, results, under_load, arguments, seconds):
    cpu = cpu_model()
    rows = rows_of(works, peers, results, under_load)
    os.makedirs(f'{root}/build/bench', exist_ok=True)
    with open(f'{root}/build/bench/calls.tsv', 'w') as f:
        f.write('work\tpeer\tours\ttheirs\tratio\tgoal\tcpu\n')
        for r in rows:
            f.write(f'{r.work}\t{r.peer}\t{r.ours:.2f}\t{r.theirs:.2f}\t{r.ratio:.2f}\t{r.goal or ""}\t{cpu}\n')
    for r in rows:
        verdict = '' if r.goal is None else f'goal {r.goal} missed' if r.missed() else 'goal met'
        print(f'{r.work:16} {r.peer:15} ours {r.ours:8.2f}, theirs {r.theirs:8.2f} {r.unit}: {r.ratio:5.2f}x  {verdict}')
    for name, why in results.missing.items():
        print(f'{name:16} missing: {why.splitlines()[0]}')
    if arguments.quick:
        return
    os.makedirs(f'{root}/docs/bench', exist_ok=True)
    shutil.copyfile(f'{root}/build/bench/calls.tsv', f'{root}/docs/bench/calls.tsv')
    with open(f'{root}/docs/bench/calls.md', 'w') as f:
        f.write(page(works, peers, results, rows, under_load, arguments, seconds, cpu))
    with open(f'{root}/docs/bench/calls.svg', 'w') as f:
        f.write(picture(works, peers, results, cpu))


def full_name(peer):
    return peer.name + (f' {peer.version}' if peer.version else '') + (' (canned)' if peer.canned else '')


def page(works, peers, results, rows, under_load, arguments, seconds, cpu):
    out = ['# Calls: CPU a request', '',
           f'Written by `scripts/bench calls` ({arguments.rounds} rounds, seed {arguments.seed}, {seconds:.0f} s in all, load average',
           f'{arguments.load:.1f} at its start) on {cpu}.',
           'Server on core 0, h2load on core 1, the same bytes to every peer and from every peer. CPU a request is the server',
           "process's own user and system time over the requests it answered; each server is started afresh for each round; the",
           'minimum counts. Latencies are those that the client saw at that full load. "canned" servers know the answer before',
           'they are asked: nginx `return 200`, and a plain epoll loop of recv and send that parses nothing but frame heads.', '']
    for name, why in results.missing.items():
        out += [f'**Missing on this machine: {name}**: {why.splitlines()[0]}', '']
    out += ['![CPU a request](calls.svg)', '']
    out += lost(rows)
    for work in works:
        out += ['', f'## {work.title}', '', '| server | CPU a request, us | requests/s | p50, us | p99 | p99.9 | times ours | goal |',
                '|---|---:|---:|---:|---:|---:|---:|---:|']
        for peer in peers:
            key = (work.name, peer.name)
            if key not in results.cpu:
                continue
            row = [r for r in rows if r.work == work.name and r.peer == peer.name]
            times = ' | '.join(f'{t:,}' for t in results.times[key])
            ratio = f'{row[0].ratio:.2f}' if row else ''
            goal = f'{row[0].goal}' if row and row[0].goal else ''
            out.append(f'| {full_name(peer)} | {results.cpu[key]:.2f} | {results.rate[key]:,.0f} | {times} | {ratio} | {goal} |')
    return '\n'.join(out + memory(peers, results, under_load) + own_counters(works, results)) + '\n'


def lost(rows):
    missed = [r for r in rows if r.missed()]
    behind = [r for r in rows if r.ratio < 1 and not r.missed() and r.peer != 'goal']
    out = ['## Where we lose', '']
    if not missed and not behind:
        return out + ['Nowhere: every goal is reached, and no peer is ahead.']
    if missed:
        out += ['Goals that are missed (docs/decisions 0147 and 0190 say why):', '']
        out += [f'- {r.title}, against {r.peer}: {r.ours:.2f} {r.unit} to {r.theirs:.2f}, {r.ratio:.2f} of the {r.goal} wanted' for r in missed]
    if behind:
        out += ['', 'Peers that are ahead of us:', '']
        out += [f'- {r.title}, {r.peer}: {r.ours:.2f} {r.unit} to {r.theirs:.2f}' for r in behind]
    return out


def memory(peers, results, under_load):
    out = []
    if results.idle:
        out += ['', '## Memory', '',
                f'Idle: growth of resident memory over {idle.CONNECTIONS:,} connections after one call each, divided by them. Under load: the',
                'most that was ever resident, with 64 connections of one stream each.', '',
                '| server | idle, HTTP/2, KB | idle, HTTP/1.1, KB | under load, MB |', '|---|---:|---:|---:|']
        for peer in peers:
            cells = [f'{results.idle[h, peer.name] / 1024:.2f}' if (h, peer.name) in results.idle else '' for h in (False, True)]
            most = results.memory.get((under_load, peer.name))
            if any(cells):
                out.append(f'| {full_name(peer)} | {cells[0]} | {cells[1]} | {f"{most / (1 << 20):.1f}" if most else ""} |')
        out.append(f'| goal | {IDLE_GOAL[False]:.0f} | {IDLE_GOAL[True]:.0f} | {UNDER_LOAD_GOAL:.0f} |')
    if results.stream:
        ours, plain, grown = results.stream
        out += ['', '## A long stream', '',
                f'1 GiB in messages of 1 MiB by reference over gRPC: {ours / 1e9:.2f} GB/s; a loop of writev and read: {plain / 1e9:.2f} GB/s; that is',
                f'{ours / plain:.2f} of it (goal {stream.GOAL}). The server\'s memory rose by {grown / (1 << 20):.1f} MiB over the stream.']
    return out


def own_counters(works, results):
    out = ['', "## Our server's own counters", '',
           'From one more run each: allocations of the whole process after the 10,000th call, and payload copies.', '',
           '| work | calls | allocations | copies in | copies out |', '|---|---:|---:|---:|---:|']
    for work in works:
        v = results.counters.get(work.name)
        if v:
            out.append(f'| {work.title} | {v["calls"]:,} | {v["allocations"]} | {v["copies_in"]:,} | {v["copies_out"]:,} |')
    return out


COLOURS = {'zcrpc': '#0b7a75', 'connect-rust': '#b5651d', 'tonic': '#d08c60', 'grpc++': '#8d99ae', 'connect-go': '#5b8bb2',
           'grpc-go': '#86b0d0', 'nginx': '#c9a227', 'plain loop': '#999999'}


def picture(works, peers, results, cpu):
    """Bars, one group a work, each group on a scale of its own that its longest fills."""
    y, lines = 44, []
    for work in works:
        bars = [(p, results.cpu[work.name, p.name]) for p in peers if (work.name, p.name) in results.cpu]
        if not bars:
            continue
        most = max(us for _, us in bars)
        lines.append(f'<text x="12" y="{y}" class="t">{work.title}</text>')
        y += 8
        for peer, us in bars:
            width = max(2.0, 540 * us / most)
            lines.append(f'<rect x="120" y="{y}" width="{width:.1f}" height="14" fill="{COLOURS.get(peer.name, "#999")}"/>')
            lines.append(f'<text x="112" y="{y + 11}" class="n" text-anchor="end">{peer.name}</text>')
            lines.append(f'<text x="{126 + width:.1f}" y="{y + 11}" class="n">{us:.1f}</text>')
            y += 18
        y += 22
    head = (f'<svg xmlns="http://www.w3.org/2000/svg" width="760" height="{y}" viewBox="0 0 760 {y}">'
            '<style>text{font-family:sans-serif;fill:#222}.h{font-size:14px;font-weight:bold}.t{font-size:12px}.n{font-size:11px}</style>'
            '<rect width="100%" height="100%" fill="#fff"/>'
            f'<text x="12" y="20" class="h">CPU a request in microseconds (less is better); {cpu}</text>')
    return head + '\n' + '\n'.join(lines) + '\n</svg>\n'
