"""The examples of a server inside somebody else's event loop: calls, many connections, an answer before and a clean end."""
import json
import os
import subprocess
from concurrent.futures import ThreadPoolExecutor

import support
from support import BIN, SOURCE, check, has, run


def call(url, text, version='--http1.1'):
    return run('curl', '-sS', '-m', '20', '--noproxy', '*', version, '-H', 'content-type: application/json', '-d', json.dumps({'text': text}),
               url + '/echo.v1.EchoService/Echo')


folder = os.path.join(SOURCE, 'examples/loops')
for source in ('poll.c', 'libuv.c', 'glib.c', 'asio.cc'):
    name = 'echo-' + source.split('.')[0]
    with open(os.path.join(folder, source), encoding='ascii') as f:
        check(len(f.readlines()) < 60, f'{source}: an example of a loop has less than 60 lines')
    if not os.path.exists(os.path.join(BIN, name)):
        support.fail(f'{name} was not built: its library is missing (scripts/deps check installs it)')
    server = support.Server(name, '127.0.0.1:0')
    has(call(server.url, 'one'), '{"text":"one"}', name)
    has(call(server.url, 'two', '--http2-prior-knowledge'), '{"text":"two"}', name)
    has(call(server.url, ''), 'text is empty', name)
    with ThreadPoolExecutor(8) as pool:
        for i, answer in enumerate(pool.map(lambda n: call(server.url, f'n{n}'), range(16))):
            has(answer, f'"n{i}"', name)
    # Without work it sleeps: a descriptor that stayed readable would spin.
    with open(f'/proc/{server.process.pid}/stat', encoding='ascii') as f:
        used = sum(map(int, f.read().rsplit(')', 1)[1].split()[11:13]))
    subprocess.run(['sleep', '0.5'], check=True)
    with open(f'/proc/{server.process.pid}/stat', encoding='ascii') as f:
        check(sum(map(int, f.read().rsplit(')', 1)[1].split()[11:13])) - used <= 5, f'{name} uses the processor while nothing happens')
    server.stop()
support.done()
