#!/usr/bin/env python3
"""signatures.py ROOT: the rules of the C API that a script can check. Fixed-width integers; no C enum, bool, long,
ssize_t, struct by value or variadic in a signature; no exported variable; zcrpc_error ** last; every declaration
has a comment, its own or that of its group (lines without a blank one between)."""
import os
import re
import sys

SCALARS = {'int32_t', 'uint32_t', 'int64_t', 'uint64_t', 'uint16_t', 'uint8_t', 'size_t', 'double', 'float', 'void', 'zcrpc_code', 'int'}


def plain(text):
    """Comments become blanks of the same length, so that places stay."""
    text = re.sub(r'/\*.*?\*/', lambda m: re.sub(r'[^\n]', ' ', m.group(0)), text, flags=re.S)
    return re.sub(r'^[ \t]*#(?:[^\n]*\\\n)*[^\n]*', lambda m: re.sub(r'[^\n]', ' ', m.group(0)), text, flags=re.M)


def by_value(parameter):
    """The type of a parameter or result that is not a pointer."""
    parameter = re.sub(r'\b(const|struct)\b', ' ', parameter)
    if '*' in parameter or '[' in parameter or not parameter.strip():
        return None
    return parameter.split()[0]


def commented(text, start, end):
    line_end = text.find('\n', end)
    if '/*' in text[start:line_end]:
        return True
    for line in reversed(text[:start].split('\n')[:-1]):
        if not line.strip() or line.startswith('#'):
            return False
        if '*/' in line or '/*' in line:
            return True
    return False


def check(header, text, wrong):
    code, count = plain(text), 0
    for found in re.finditer(r'\bZCRPC_API\b([^;{}]*);', code):
        line = code.count('\n', 0, found.start()) + 1
        one = re.match(r'\s*(.*?)\b(zcrpc_\w+)\s*\((.*)\)\s*$', found.group(1), flags=re.S)
        if not one:
            wrong.append(f'{header}:{line}: not a function: {found.group(1).strip()}')
            continue
        result, name, arguments = one.groups()
        count += 1
        place = f'{header}:{line}: {name}'
        if re.search(r'\b(long|short|unsigned|bool|_Bool|enum|ssize_t|time_t|off_t)\b', result + ' ' + arguments):
            wrong.append(f'{place}: a type whose size or meaning differs between languages')
        if '...' in arguments:
            wrong.append(f'{place}: variadic')
        parameters = [p.strip() for p in arguments.split(',')]
        for parameter in [result] + parameters:
            kind = by_value(parameter)
            if kind and kind not in SCALARS and not kind.endswith('_fn'):
                wrong.append(f'{place}: {kind} by value')
        if any(re.match(r'zcrpc_error \*\*', p) for p in parameters[:-1]):
            wrong.append(f'{place}: zcrpc_error ** is not last')
        if arguments.strip() == '':
            wrong.append(f'{place}: () is not (void)')
        if not commented(text, found.start(), found.end()):
            wrong.append(f'{place}: no comment')
    return count


def main():
    wrong, count = [], 0
    for where, _, names in os.walk(os.path.join(sys.argv[1], 'include')):
        for name in sorted(names):
            path = os.path.join(where, name)
            with open(path, encoding='utf-8') as text:
                count += check(os.path.relpath(path, sys.argv[1]), text.read(), wrong)
    print('\n'.join(wrong + [f'{count} functions, {len(wrong)} faults']))
    return 1 if wrong or count == 0 else 0


sys.exit(main())
