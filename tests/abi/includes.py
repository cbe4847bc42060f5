#!/usr/bin/env python3
"""Which folder may include which: checks every #include line of the tree against the table of the house."""
import os
import re
import sys

# folder: what it may include, besides itself; transitive.
TABLE = {
    'base': [],
    'wire': ['base'],
    'schema': ['wire'],
    'view': ['schema'],
    'encode': ['schema'],
    'json': ['view', 'encode'],
    'text': ['view', 'encode'],
    'compress': ['base'],
    'http': ['base'],
    'rpc': ['wire', 'json', 'compress'],
    'net': ['base'],
    'tls': ['net'],
    'server': ['net', 'http', 'rpc'],
    'client': ['net', 'http', 'rpc'],
}
TABLE['capi'] = list(TABLE)
PUBLIC_HEADER = {'capi', 'rpc', 'net', 'server', 'client'}  # who may include <zcrpc.h>; <zcrpc/layout.h> all may

# third-party header: the one folder that may include it
THIRD_PARTY = [
    (r'nghttp2/', 'http'),
    (r'openssl/', 'tls'),
    (r'ares', 'net'),
    (r'curl/', 'client'),
    (r'(zlib|zconf|zstd|zstd_errors|snappy|snappy-c)\.h', 'compress'),
    (r'brotli/', 'compress'),
    (r'google/', None),
    (r'grpc', None),
    (r'cmocka\.h', None),
]
# Locale, static constructors or exceptions come with these.
BANNED = {'iostream', 'locale', 'sstream', 'fstream', 'regex', 'clocale', 'locale.h', 'iomanip'}

INCLUDE = re.compile(r'^\s*#\s*include(?:_next)?\s*([<"])([^>"]+)[>"]')


def allowed(folder):
    seen, todo = {folder}, [folder]
    while todo:
        for below in TABLE.get(todo.pop(), []):
            if below not in seen:
                seen.add(below)
                todo.append(below)
    return seen


def sources(root, *folders):
    for folder in folders:
        for where, dirs, names in os.walk(os.path.join(root, folder)):
            dirs[:] = [d for d in dirs if d not in ('build', 'node_modules')]
            for name in sorted(names):
                if re.search(r'\.(h|c|cc|inc|inl)$', name):
                    yield os.path.join(where, name)


def includes(path):
    with open(path, encoding='utf-8') as text:
        for number, line in enumerate(text, 1):
            found = INCLUDE.match(line)
            if found:
                yield number, found.group(1) == '<', found.group(2)


def check_library(root, errors):
    count = 0
    for path in sources(root, 'src'):
        short = os.path.relpath(path, root)
        folder = short.split(os.sep)[1]
        if folder not in TABLE:
            errors.append(f'{short}: the folder src/{folder} is not in the table')
            continue
        may = allowed(folder)
        for number, angle, name in includes(path):
            count += 1
            place = f'{short}:{number}'
            first = name.split('/')[0]
            if angle and name.startswith('zcrpc'):
                if name != 'zcrpc/layout.h' and (name, folder) not in (('zcrpc/decode.h', 'view'), ('zcrpc/encode_ops.h', 'encode')) and folder not in PUBLIC_HEADER:
                    errors.append(f'{place}: {folder} may not include <{name}>')
            elif angle:
                if name in BANNED:
                    errors.append(f'{place}: <{name}> has no place in the library')
                for pattern, owner in THIRD_PARTY:
                    if re.match(pattern, name) and owner != folder:
                        errors.append(f'{place}: <{name}> belongs to {owner or "no folder"} alone')
            elif '/' in name and first in TABLE:
                if first not in may:
                    errors.append(f'{place}: {folder} may not include {first}')
            elif not os.path.exists(os.path.join(os.path.dirname(path), name)) and '/' not in name:
                # Made at build time, in the folder itself; a header of another folder is named with its folder.
                if any(os.path.exists(os.path.join(root, 'src', other, name)) for other in TABLE):
                    errors.append(f'{place}: name the folder of "{name}"')
    return count


def check_outside(root, errors):
    """Tools, examples and the C tests know the public header only."""
    count = 0
    for path in sources(root, 'tools', 'examples', os.path.join('tests', 'api')):
        short = os.path.relpath(path, root)
        for number, angle, name in includes(path):
            count += 1
            if not angle and name.split('/')[0] in TABLE and '/' in name and not name.endswith('.zcrpc.h'):
                errors.append(f'{short}:{number}: "{name}" is inside the library; only public headers here')
    for path in sources(root, 'include'):
        short = os.path.relpath(path, root)
        for number, angle, name in includes(path):
            count += 1
            if not (re.match(r'(\.\./)?zcrpc', name) or name in ('stddef.h', 'stdint.h', 'string.h') or (name == 'immintrin.h' and short.endswith('decode_ops.h')) or (name == 'emmintrin.h' and short.endswith('codegen.h'))):
                errors.append(f'{short}:{number}: a public header may not include {name}')
    return count


def main():
    root, errors = sys.argv[1], []
    count = check_library(root, errors) + check_outside(root, errors)
    for error in errors:
        print(error)
    print(f'{count} includes, {len(errors)} errors')
    return 1 if errors or count == 0 else 0


sys.exit(main())
