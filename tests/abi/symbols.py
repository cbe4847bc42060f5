#!/usr/bin/env python3
"""symbols.py ROOT LIBRARY: the library exports exactly tests/abi/zcrpc.symbols, which are the functions that the
public headers declare. CMake makes the version script from the same file.

symbols.py ROOT --write: writes tests/abi/zcrpc.symbols from the headers."""
import os
import re
import subprocess
import sys


def declared(root):
    names = set()
    for where, _, files in os.walk(os.path.join(root, 'include')):
        for name in files:
            text = open(os.path.join(where, name), encoding='utf-8').read()
            text = re.sub(r'/\*.*?\*/', '', text, flags=re.S)
            text = re.sub(r'^\s*#.*?(?<!\\)$', '', text, flags=re.M | re.S)
            names |= set(re.findall(r'\bZCRPC_API\b[^;{}]*?\b(zcrpc_\w+)\s*\(', text))
    return names


def listed(root):
    with open(os.path.join(root, 'tests/abi/zcrpc.symbols'), encoding='utf-8') as text:
        return [line.strip() for line in text if line.strip()]


def exported(library):
    out = subprocess.run(['nm', '-D', '--defined-only', library], check=True, capture_output=True, text=True).stdout
    names = set()
    for line in out.splitlines():
        _, kind, name = line.split()
        if kind == 'A' and re.fullmatch(r'ZCRPC_\d+\.\d+', name):
            continue  # the version node itself
        names.add(name.split('@')[0])
    return names


def write(root):
    names = sorted(declared(root))
    with open(os.path.join(root, 'tests/abi/zcrpc.symbols'), 'w', encoding='utf-8') as out:
        out.write(''.join(name + '\n' for name in names))


def compare(what, left, right, wrong):
    for name in sorted(left - right):
        wrong.append(f'{name}: {what}')


def main():
    root = sys.argv[1]
    if sys.argv[2] == '--write':
        write(root)
        return 0
    wrong, names = [], listed(root)
    if names != sorted(set(names)):
        wrong.append('tests/abi/zcrpc.symbols is not sorted, or names something twice')
    names, shown = set(names), exported(sys.argv[2])
    compare('exported, but not in tests/abi/zcrpc.symbols', shown, names, wrong)
    compare('in tests/abi/zcrpc.symbols, but not exported', names, shown, wrong)
    compare('declared in a public header, but not in tests/abi/zcrpc.symbols', declared(root), names, wrong)
    compare('in tests/abi/zcrpc.symbols, but in no public header', names, declared(root), wrong)
    print('\n'.join(wrong + [f'{len(shown)} exported symbols, {len(wrong)} differences']))
    return 1 if wrong else 0


sys.exit(main())
