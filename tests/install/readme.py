#!/usr/bin/env python3
"""readme.py README WORK: the README's server, from the README's text: writes greet.proto, server.c and the CMake project,
runs the README's commands with the installed library, and looks at the answers. PATH holds the installed programs."""
import os
import re
import signal
import subprocess
import sys

readme, work = open(sys.argv[1], encoding='utf-8').read(), sys.argv[2]
bufs = os.path.join(os.environ['ZCRPC_SOURCE_DIR'], 'build/deps/npm/node_modules/.bin')
os.environ['PATH'] += os.pathsep + bufs
os.environ['no_proxy'] = os.environ['NO_PROXY'] = '127.0.0.1'


def block(language, holding=''):
    for text in re.findall(r'```' + language + r'\n(.*?)```', readme, flags=re.S):
        if holding in text:
            return text
    raise SystemExit(f'README.md has no block of {language} with {holding}')


def write(name, text):
    with open(os.path.join(work, name), 'w', encoding='utf-8') as out:
        out.write(text)


def shell(command):
    done = subprocess.run(['bash', '-c', 'set -e; ' + command], cwd=work, capture_output=True, text=True, timeout=60)
    print('$ ' + command.strip() + '\n' + done.stdout + done.stderr, flush=True)
    if done.returncode:
        raise SystemExit(f'status {done.returncode}')
    return done.stdout


write('greet.proto', block('proto'))
write('server.c', block('c'))
commands = block('sh', 'protoc --zcrpc_out').replace('\\\n', '')
made, calls = commands.split('./server &\n')
shell(made)

server = subprocess.Popen([os.path.join(work, 'server'), '127.0.0.1:0'], stdout=subprocess.PIPE, text=True)
try:
    address = server.stdout.readline().split()[1]
    for command in calls.strip().split('\n'):
        answer = shell(command.replace('127.0.0.1:8080', address))
        if not re.search(r'"greeting":\s*"Hello, you!"', answer):
            raise SystemExit('not the answer that the README promises')
finally:
    server.send_signal(signal.SIGTERM)
if server.wait(timeout=20) != 0:
    raise SystemExit('the server did not end well')

answer = shell(block('sh', 'zcrpc decode'))
if answer.strip().replace(' ', '') != '{"name":"you"}':
    raise SystemExit('not the JSON that was expected')

write('CMakeLists.txt', 'cmake_minimum_required(VERSION 3.25)\nproject(readme LANGUAGES C)\n' + block('cmake'))
shell(f'cmake -S . -B build -G Ninja -DCMAKE_PREFIX_PATH={os.environ["STAGE"]} >/dev/null && cmake --build build && ls build/server')
