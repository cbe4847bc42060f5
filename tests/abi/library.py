#!/usr/bin/env python3
"""library.py LIBRARY BUILD: what the built library is made of, and what must not be in it."""
import glob
import os
import re
import subprocess
import sys

LIMIT = 1500 * 1000  # stripped bytes
BARE = ['base', 'wire', 'schema', 'view', 'encode', 'json', 'text', 'compress']
# A library does not end its host's process, print, change its locale or signal handling.
NEVER = {'abort', 'exit', '_exit', '_Exit', 'quick_exit', '__assert_fail', '__assert', 'perror', 'printf', 'puts', 'putchar', '__printf_chk',
         'setlocale', 'uselocale', 'newlocale', 'signal', 'sigaction', 'strtod', 'strtof', 'atof', 'strerror', 'getenv_unsafe',
         'system', 'popen', 'fork', 'gethostbyname', 'getaddrinfo', 'localtime', 'gmtime', 'rand', 'srand', 'random'}


def run(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def objects(build, folder):
    return sorted(glob.glob(os.path.join(build, 'src', folder, 'CMakeFiles', f'zcrpc_{folder}.dir', '**', '*.o'), recursive=True))


def check_size(library, build, wrong):
    copy = os.path.join(build, 'tests', 'stripped.so')
    run('strip', '-o', copy, library)
    size = os.path.getsize(copy)
    os.remove(copy)
    print(f'{size} bytes stripped')
    if size >= LIMIT:
        wrong.append(f'{size} bytes stripped; the limit is {LIMIT}')


def check_dynamic(library, wrong):
    dynamic = run('readelf', '-dW', library)
    needed = re.findall(r'NEEDED.*\[(.*)\]', dynamic)
    print('needs ' + ' '.join(needed))
    for name in needed:
        if re.match(r'lib(protobuf|protoc|absl|stdc\+\+|gcc_s|grpc)', name):
            wrong.append(f'the library needs {name}')
    if 'Library soname: [libzcrpc.so.0]' not in dynamic:
        wrong.append('the soname is not libzcrpc.so.0')
    if 'TEXTREL' in dynamic:
        wrong.append('the library has text relocations')
    # Parts of the C++ runtime that are large and that nothing here needs (docs/decisions/0204).
    for symbol in re.findall(r' [tTrR] (\S*(?:__cxa_demangle|POW10_SPLIT|__to_chars_shortest|fast_float)\S*)$', run('nm', library), flags=re.M):
        wrong.append(f'the library holds {symbol}')
    if re.search(r'GNU_STACK.*RWE', run('readelf', '-lW', library)):
        wrong.append('the library wants an executable stack')


def check_object(path, bare, wrong):
    name = '/'.join(path.split(os.sep)[-3:])
    for section in re.findall(r'\s(\.(?:init_array|ctors|fini_array|dtors)[.\w]*)\s', run('readelf', '-SW', path)):
        wrong.append(f'{name}: a static constructor or destructor ({section})')
    undefined = set(re.findall(r'^\s+U (\S+)', run('nm', '-u', path), flags=re.M))
    for symbol in sorted(undefined & NEVER):
        wrong.append(f'{name}: calls {symbol}')
    if '__cxa_guard_acquire' in undefined:
        wrong.append(f'{name}: a function-local static with dynamic initialisation')
    if not bare:
        return
    for symbol in sorted(undefined):
        # operator new and delete, exceptions, type information, and libstdc++'s out-of-line parts; string_view's
        # substr, whose check of the position no compiler can always remove, is allowed its failure path
        if re.match(r'(_Zn[wa]|_Zd[la]|__cxa_|__gxx_|_ZTI|_ZTV|_ZSt|_ZNSt|_ZNKSt)', symbol) and not re.match(
                r'(_ZSt24__throw_out_of_range_fmt|_ZTVN10__cxxabi)', symbol):
            wrong.append(f'{name}: needs {symbol}, which the bare build does not have')
    for line in run('objdump', '-t', path).splitlines():
        found = re.match(r'^[0-9a-f]+ .{7} (\.bss\S*|\.data(?!\.rel\.ro)\S*)\t([0-9a-f]+) (.*)$', line)
        if found and int(found.group(2), 16) > 0:
            wrong.append(f'{name}: a mutable global, {found.group(3)}')


def main():
    library, build = sys.argv[1:3]
    wrong, count = [], 0
    check_size(library, build, wrong)
    check_dynamic(library, wrong)
    for folder in os.listdir(os.path.join(build, 'src')):
        for path in objects(build, folder):
            check_object(path, folder in BARE, wrong)
            count += 1
    print('\n'.join(wrong + [f'{count} objects, {len(wrong)} faults']))
    return 1 if wrong or count == 0 else 0


sys.exit(main())
