#!/usr/bin/env python3
"""options.py ROOT: every option stands in the header, in the table that checks it (src/capi/options.cc), and, if a server
takes it, in exactly one row of a table of docs/serving.md, which tells its default; and the three say the same: who takes
it, and the default, which is also that of src/server/config.h. Each row of the limits names an option, or says "fixed: " and
why; what config.h has and no option sets is known here."""
import os
import re
import sys

root = sys.argv[1]
wrong = []


def read(path):
    with open(os.path.join(root, path), encoding='utf-8') as file:
        return file.read()


UNITS = {'': 1, 'ms': 1, 's': 1000, 'min': 60000, 'KiB': 1 << 10, 'MiB': 1 << 20, 'GiB': 1 << 30}
NONE = ('none', 'never', 'any number', "the client's", 'nobody', 'off', 'empty')


def quantities(text):
    """Numbers with their units, in ms and bytes: "2 min, then 20 s" is {120000, 20000}."""
    found = re.findall(r'(?<![\w.])(-?\d[\d,]*)(?: ?(ms|s|min|KiB|MiB|GiB)\b)?', text)
    return {int(number.replace(',', '')) * UNITS[unit] for number, unit in found}


def expression(text):
    """The value of a constant expression of C++, or None."""
    text = re.sub(r'\bsize_t\((\w+)\)', r'\1', text.replace("'", ''))
    return eval(text) if re.fullmatch(r'[\d\s*+<()-]+', text) else None


# The header: number, who takes it, default.
header = read('include/zcrpc.h')
block = re.search(r'enum \{ /\* Keys:(.*?)\n\};', header, flags=re.S)
options = {}
for name, number, comment in re.findall(r'\b(ZCRPC_\w+) = (\d+),?\s*/\*(.*?)\*/', block.group(1), flags=re.S):
    comment = re.sub(r'\s*\n \*|\s+', ' ', comment).strip()
    who = {'tls'} if name.startswith('ZCRPC_TLS_') else set()
    for part in re.split(r'[;:]', comment):
        words = {word.strip(' .') for word in re.sub(r'\[.*?\]', '', part).split(',')}
        if words <= {'server', 'channel', 'call', 'decode', 'format', 'loop'}:
            who |= words
    default = re.findall(r'\[([^\]]*)\]', comment)
    options[name] = {'number': int(number), 'who': who, 'default': default[-1] if default else None}
if len(options) < 49:
    wrong.append(f'include/zcrpc.h: only {len(options)} options were found')
for number in {o['number'] for o in options.values()}:
    same = [name for name, o in options.items() if o['number'] == number]
    if len(same) > 1:
        wrong.append(f'include/zcrpc.h: {" and ".join(same)} have one number')

# The table that checks them.
rows = {}
for name, shown, flags in re.findall(r'\{(ZCRPC_\w+), "(\w+)", ([kA-Za-z| ]+),', read('src/capi/options.cc')):
    rows[name] = {flag.strip()[1:].lower() for flag in flags.split('|')}
    if name != 'ZCRPC_' + shown:
        wrong.append(f'src/capi/options.cc: {name} calls itself {shown}')
for name in sorted(set(options) ^ set(rows)):
    wrong.append(f'{name} is in include/zcrpc.h or in src/capi/options.cc, but not in both')
for name in sorted(set(options) & set(rows)):
    if options[name]['who'] != rows[name]:
        wrong.append(f'{name}: the header says it is for {sorted(options[name]["who"])}, src/capi/options.cc for {sorted(rows[name])}')

# The defaults in the code.
members = {}
for member, value in re.findall(r'^  (?:[\w:]+) (\w+) = ([^;]+);', read('src/server/config.h'), flags=re.M):
    members[member] = {'true': 1, 'false': 0}.get(value, expression(value))
for member, name in re.findall(r'c->([\w.]+) = [\w:]*\(?get_(?:int|bool)\(o, (ZCRPC_\w+)', read('src/capi/server.cc')):
    value, default = members.get(member), options[name]['default']
    if value is None:
        continue  # a member of another record, cors.max_age_s say
    if default is None:
        wrong.append(f'{name}: the header does not tell its default')
    elif quantities(default) != {value}:
        wrong.append(f'{name}: the header says [{default}], src/server/config.h {member} = {value}')

# The pages: each option that a server takes has one row, with its default.
serving = read('docs/serving.md')
table = [[cell.strip() for cell in line.strip('|').split('|')]
         for line in re.sub(r'`[^`]*`', lambda m: m.group(0).replace('|', '/'), serving).split('\n') if line.startswith('| ')]
for name, option in sorted(options.items()):
    if not option['who'] & {'server', 'call', 'tls'} or name.startswith('ZCRPC_CHANNEL_'):
        continue
    lines = [cells for cells in table if f'`{name}`' in cells[-1]]
    if len(lines) != 1:
        wrong.append(f'docs/serving.md: {name} stands in the last column of {len(lines)} rows of its tables; one it should be')
        continue
    if not all(lines[0]):
        wrong.append(f'docs/serving.md: the row of {name} has an empty cell')
    shown, default = lines[0][1], option['default']
    if default is None:
        default = ''  # there is none: it has to be given
    if default in ('-1', '""') or not quantities(default):
        if default not in shown.split(': ')[0] and not any(word in shown for word in NONE):
            wrong.append(f'docs/serving.md: {name} has the default {default or "(none)"}, the page says "{shown}"')
    elif not quantities(default) <= quantities(shown):
        wrong.append(f'docs/serving.md: {name} has the default {default}, the page says "{shown}"')
for name in sorted(set(re.findall(r'`(ZCRPC_(?:LIMIT|SERVER|TLS|COMPRESSION|DECODE)\w*)`', serving)) - set(options)):
    wrong.append(f'docs/serving.md: there is no {name}')

# Every limit tells what changes it, or why nothing does.
limits = re.search(r'^## Limits\n(.*?)^## ', serving, flags=re.S | re.M).group(1)
bounds = [[cell.strip() for cell in line.strip('|').split('|')] for line in limits.split('\n') if line.startswith('| ')][1:]
if len(bounds) < 30:
    wrong.append(f'docs/serving.md: only {len(bounds)} limits were found')
for cells in bounds:
    if len(cells) != 4 or not all(cells):
        wrong.append(f'docs/serving.md: the limit "{cells[0]}" does not tell its default, its attack and its option')
    elif not re.search(r'`ZCRPC_\w+`', cells[3]) and not re.match(r'fixed: .{15,}', cells[3]):
        wrong.append(f'docs/serving.md: the limit "{cells[0]}" has neither an option nor "fixed: " and a reason')

# What follows from other options, or has none: the member of config.h, and a word that only its row of the limits has.
DERIVED = {'reset_ms': 'answered early', 'drain_quiet_ms': "GOAWAY's ping", 'polled_duck_ms': 'asked for health'}
for member, word in DERIVED.items():
    lines = [cells for cells in bounds if word in cells[0]]
    if not any(members[member] in quantities(cells[1]) for cells in lines):
        wrong.append(f'docs/serving.md: no limit "{word}" says {members[member]}, which is {member} in src/server/config.h')
set_by = set(re.findall(r'c->([\w.]+) = ', read('src/capi/server.cc')))
for member in sorted(set(members) - set_by - set(DERIVED)):
    wrong.append(f'src/server/config.h: no option sets {member} (src/capi/server.cc), and {os.path.basename(__file__)} knows no row of docs/serving.md for it')

for line in wrong:
    print(line)
print(f'{len(options)} options, {len(wrong)} mistakes')
sys.exit(1 if wrong else 0)
