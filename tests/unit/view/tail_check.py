#!/usr/bin/env python3
"""Proves on the objects that the decoder's handlers jump from field to field and never call one another.

    tail_check.py OBJDUMP OBJECT...

A handler (h1_X, h2_X, h_miss, h_slow, ...) must contain a jump through a register or memory, and no call through one: a
compiler that turned the jump into a call would work, until a message of many fields had used up the stack. Objects of
an instruction set beyond the baseline must also define no weak symbol, which the linker could take for everyone.
"""
import re
import subprocess
import sys

HANDLER = re.compile(r'^[0-9a-f]+ <(.*\bh[12]?_\w+.*|_ZN.*\d+h[12]?_\w+.*)>:$')


def handlers(objdump, path):
    text = subprocess.run([objdump, '-d', '--no-show-raw-insn', path], check=True, capture_output=True, text=True).stdout
    name, body = None, []
    for line in text.splitlines() + ['']:
        head = HANDLER.match(line)
        if line.endswith('>:') or not line:
            if name:
                yield name, body
            name, body = (head.group(1), []) if head else (None, [])
        elif name:
            body.append(line)


def main():
    objdump, paths = sys.argv[1], sys.argv[2:]
    bad = total = 0
    for path in paths:
        for name, body in handlers(objdump, path):
            if '.cold' in name:
                continue
            total += 1
            calls = [b for b in body if re.search(r'\b(call[ql]?\s+\*|blr\s)', b)]
            jumps = [b for b in body if re.search(r'\b(jmp[ql]?\s+\*|br\s+x)', b)]
            if calls or not jumps:
                bad += 1
                print('%s: %s' % (name, calls[0].strip() if calls else 'no jump to the next handler'))
        if 'v3' in path:
            symbols = subprocess.run([objdump, '-t', path], check=True, capture_output=True, text=True).stdout
            weak = [line for line in symbols.splitlines() if re.match(r'^[0-9a-f]+ +w ', line) and '*UND*' not in line]
            if weak:
                bad += 1
                print('%s: weak: %s' % (path, weak[0]))
    print('%d handlers in %d objects, %d bad' % (total, len(paths), bad))
    sys.exit(1 if bad or total < 60 * len(paths) else 0)


main()
