#!/usr/bin/env python3
"""layout.py ROOT CC WORKDIR: sizes, offsets and constants of the public headers against tests/abi/layout.golden.

layout.py ROOT CC WORKDIR --write: writes the golden file. A line that changes is a break of the ABI; before 1.0 it
needs a decision, after 1.0 a new layout number or soname. x86-64 only: the records that other languages read have
fixed-width members and are checked on every machine by ZCRPC_LAYOUT_CHECK."""
import difflib
import os
import re
import subprocess
import sys

HEADERS = ['zcrpc/layout.h', 'zcrpc.h', 'zcrpc/codegen.h', 'zcrpc/decode.h', 'zcrpc/encode_ops.h']


def plain(path):
    text = open(path, encoding='utf-8').read()
    text = re.sub(r'/\*.*?\*/', '', text, flags=re.S)
    return re.sub(r'^\s*#(?:[^\n]*\\\n)*[^\n]*$', '', text, flags=re.M)


def split(text, separator):
    """Splits at separators outside of brackets."""
    parts, depth, start = [], 0, 0
    for i, c in enumerate(text):
        depth += (c in '({[') - (c in ')}]')
        if c == separator and depth == 0:
            parts.append(text[start:i])
            start = i + 1
    return [p.strip() for p in parts + [text[start:]] if p.strip()]


def members(body):
    for declaration in split(body, ';'):
        pointer = re.search(r'\(\s*\*\s*(\w+)\s*\)\s*\(', declaration)
        if pointer and not declaration.startswith(('struct', 'union')):
            yield pointer.group(1)
            continue
        tail = declaration[declaration.rindex('}') + 1:] if '}' in declaration else declaration
        for one in split(tail, ','):
            yield re.findall(r'\w+', re.sub(r'\[[^\]]*\]', '', one))[-1]


def structs(text):
    for found in re.finditer(r'typedef\s+struct\s+\w+\s*\{', text):
        depth, end = 1, found.end()
        while depth:
            depth += (text[end] == '{') - (text[end] == '}')
            end += 1
        name = re.match(r'\s*(\w+)', text[end:]).group(1)
        yield name, list(members(text[found.end():end - 1]))


def constants(text):
    for body in re.findall(r'\benum\s*\w*\s*\{([^}]*)\}', text):
        for one in split(body, ','):
            yield one.split('=')[0].strip()


def program(root):
    lines = ['#include <stdio.h>', '#include <stddef.h>'] + [f'#include <{h}>' for h in HEADERS] + ['int main(void) {']
    for header in HEADERS:
        text = plain(os.path.join(root, 'include', header))
        for name, fields in structs(text):
            lines.append(f'  printf("{name} %zu\\n", sizeof({name}));')
            for field in fields:
                lines.append(f'  printf("{name}.{field} %zu %zu\\n", offsetof({name}, {field}), sizeof((({name} *)0)->{field}));')
        for name in constants(text):
            lines.append(f'  printf("{name} %lld\\n", (long long){name});')
    return '\n'.join(lines + ['  return 0;', '}', ''])


def main():
    root, compiler, work = sys.argv[1:4]
    source, binary = os.path.join(work, 'layout.c'), os.path.join(work, 'layout-program')
    os.makedirs(work, exist_ok=True)
    with open(source, 'w', encoding='utf-8') as out:
        out.write(program(root))
    subprocess.run([compiler, '-std=c11', '-O1', '-I', os.path.join(root, 'include'), '-o', binary, source], check=True)
    now = subprocess.run([binary], check=True, capture_output=True, text=True).stdout
    golden = os.path.join(root, 'tests/abi/layout.golden')
    if '--write' in sys.argv:
        with open(golden, 'w', encoding='utf-8') as out:
            out.write(now)
        return 0
    then = open(golden, encoding='utf-8').read()
    difference = list(difflib.unified_diff(then.splitlines(), now.splitlines(), 'golden', 'now', lineterm='', n=0))
    print('\n'.join(difference + [f'{len(now.splitlines())} lines']))
    return 1 if difference or len(now.splitlines()) < 100 else 0


sys.exit(main())
