"""nginx and HAProxy before our server, every way they forward, and nothing in between: what a client sees, call by call and
under load while servers drain, connections grow old, or a server is killed.

fronts.py [--write]: with it the table goes to docs/bench/fronts.md. The configurations are those of docs/serving.md, in
clear text. What is called through HTTP/2 are the cases of tests/interop/go by grpc-go, through HTTP/1.1 by connect-go.
"""
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import support
from support import check, has

CLIENT = support.tool('interop-go', 'scripts/deps interop builds it', 'build/deps/interop/interop-go')
ROOT = os.path.join(support.SOURCE, 'build/deps/fronts/root')
ENV = dict(os.environ, LD_LIBRARY_PATH=os.path.join(ROOT, 'usr/lib/x86_64-linux-gnu'))
NGINX = support.tool('nginx', 'scripts/deps check fetches it', 'build/deps/fronts/root/usr/sbin/nginx')
HAPROXY = support.tool('haproxy', 'scripts/deps check fetches it', 'build/deps/fronts/root/usr/sbin/haproxy')



FRONTS = ('direct', 'nginx grpc_pass', 'nginx proxy_pass', 'HAProxy h2', 'HAProxy h1')
# Rows of the table: its name, and the cases of the client that stand for it.
ROWS = (('unary', ('unary', 'large messages', 'many at once')), ('error', ('error with details', 'message over the limit', 'unknown method')),
        ('trailers only', ('trailers only',)), ('server stream', ('server stream', 'error behind messages')), ('client stream', ('client stream',)),
        ('early end', ('early end', 'early error')), ('bidi ping-pong', ('bidi ping-pong', 'bidi, ended by the server', 'bidi, error by the server')),
        ('cancel seen within 100 ms', ('cancel', 'cancel of an upload')), ('deadline', ('deadline',)),
        ('10 MiB, slow reader, memory', ('slow reader',)))
NGINX_CONF = '''
worker_processes 1; daemon off; master_process off; pid %(dir)s/pid; error_log %(dir)s/error.log;
events { worker_connections 1024; }
http {
  access_log off;
  client_max_body_size 0;
  client_body_temp_path %(dir)s/b; proxy_temp_path %(dir)s/p; fastcgi_temp_path %(dir)s/f; uwsgi_temp_path %(dir)s/u; scgi_temp_path %(dir)s/s;
  proxy_cache_path %(dir)s/cache keys_zone=answers:1m;
  upstream app { %(upstreams)s keepalive 32; }
  server { listen 127.0.0.1:%(port)d%(http2)s; keepalive_requests 1000000; %(forward)s }
}
'''
GRPC_PASS = 'location / { grpc_pass grpc://app; grpc_read_timeout 30s; }'
PROXY_PASS = '''location / { proxy_pass http://app; proxy_http_version 1.1; proxy_set_header Connection "";
    proxy_buffering off; proxy_request_buffering off; }
  location /interop.v1.Interop/Get { proxy_pass http://app; proxy_http_version 1.1; proxy_set_header Connection "";
    proxy_cache answers; add_header X-Cache $upstream_cache_status; }'''
HAPROXY_CONF = '''
global
  maxconn 512
  nbthread 1
defaults
  mode http
  timeout connect 2s
  timeout client 30s
  timeout server 30s
  retries 3
  option redispatch 1
  option abortonclose
  option http-no-delay
frontend front
  bind 127.0.0.1:%(port)d%(bind)s
  default_backend app
backend app
%(servers)s
'''


class Front:
    """One way to our servers, one or two; direct: they share a socket, as services of systemd do."""

    def __init__(self, name, folder, servers=1, *flags):
        self.name, self.version = name, '1' if name in ('nginx proxy_pass', 'HAProxy h1') else '2'
        self.process = None
        if name == 'direct':
            self.shared = socket.socket()
            self.shared.bind(('127.0.0.1', 0))
            self.shared.listen(1024)
            os.set_inheritable(self.shared.fileno(), True)
            self.port = self.shared.getsockname()[1]
            self.servers = [support.interop('--listen', f'fd:{self.shared.fileno()}', *flags) for _ in range(servers)]
            return
        self.servers = [support.interop(*flags) for _ in range(servers)]
        upstreams = [s.address for s in self.servers]
        self.port = support.free_port()
        values = {'dir': folder, 'port': self.port}
        conf = f'{folder}/front.conf'
        if name.startswith('nginx'):
            over_h2 = name == 'nginx grpc_pass'
            values.update(upstreams=' '.join(f'server {u};' for u in upstreams), http2=' http2' if over_h2 else '', forward=GRPC_PASS if over_h2 else PROXY_PASS)
            text, command = NGINX_CONF % values, (NGINX, '-p', folder, '-e', f'{folder}/error.log', '-c', conf)
        else:
            proto = ' proto h2' if name == 'HAProxy h2' else ''
            values.update(bind=proto, servers='\n'.join(f'  server s{i} {u}{proto}' for i, u in enumerate(upstreams)))
            text, command = HAPROXY_CONF % values, (HAPROXY, '-db', '-f', conf)
        with open(conf, 'w', encoding='ascii') as f:
            f.write(text)
        with open(f'{folder}/said', 'wb') as said:
            self.process = subprocess.Popen(command, env=ENV, stdout=said, stderr=said)
        support.await_port(self.port, self.process, name)

    def client(self, *command):
        """The lines that the client prints, split at tabs."""
        try:
            ran = subprocess.run([CLIENT, *command], capture_output=True, timeout=90, check=False, text=True)
            return [line.split('\t') for line in ran.stdout.splitlines()]
        except subprocess.TimeoutExpired:
            return [['FAILED', self.name, command[0], 'the client did not end']]

    def protocol(self):
        return 'connect' if self.version == '1' else 'grpc'

    def cases(self):
        server = self.servers[0]
        direct = f'127.0.0.1:{self.port}' if self.name == 'direct' else server.address
        lines = self.client('front', self.name, self.protocol(), self.version, f'127.0.0.1:{self.port}', direct, str(server.process.pid))
        if self.version == '1':  # the other protocol that HTTP/1.1 carries
            lines += self.client('front', self.name, 'grpcweb', '1', f'127.0.0.1:{self.port}', direct, str(server.process.pid))
        return lines

    def load(self, seconds, then=None, after=0.7):
        """Calls failed of calls made, and the texts of failures; `then` happens while they are made."""
        timer = threading.Timer(after, then or (lambda: None))
        timer.start()
        lines = self.client('load', self.name, self.protocol(), self.version, f'127.0.0.1:{self.port}', str(seconds))
        timer.join()
        made = [line for line in lines if line[0] == 'load']
        texts = [' '.join(line[3:]) for line in lines if line[0] == 'FAILED']
        return (int(made[0][3]), int(made[0][4]), texts) if made else (0, -1, texts)

    def close(self):
        if self.process:
            self.process.terminate()
            self.process.wait(10)
        for server in self.servers:
            if server.process.poll() is None:
                server.stop()


def each_front(function):
    with ThreadPoolExecutor(3) as pool:
        return dict(zip(FRONTS, pool.map(function, FRONTS)))


def with_front(name, servers, flags, use):
    with tempfile.TemporaryDirectory() as folder:
        front = Front(name, folder, servers, *flags)
        try:
            return use(front)
        finally:
            front.close()


def kill(front):
    front.servers[0].process.kill()


def drain(front):
    front.servers[0].process.send_signal(signal.SIGTERM)


def drained(front):
    out = front.load(2.5, lambda: drain(front))
    check(front.servers[0].process.wait(20) == 0, f'{front.name}: the server that drained did not end well')
    return out


def killed(front):
    """Calls in flight at the kill fail, and nothing hangs; afterwards all is well again."""
    during = front.load(1.5, lambda: kill(front))
    return during, front.load(0.5)


def cached(front):
    url = f'http://127.0.0.1:{front.port}/interop.v1.Interop/Get?connect=v1&encoding=json&message=%7B%22text%22%3A%22kept%22%7D'
    return [support.run('curl', '-sS', '-m', '20', '--noproxy', '*', '-i', url) for _ in range(2)]


table = {row: {} for row, _ in ROWS}
wrong = []
for front, lines in each_front(lambda name: with_front(name, 1, (), Front.cases)).items():
    wrong += [' | '.join(line) for line in lines if line[0] == 'FAILED']
    for row, names in ROWS:
        of = [line for line in lines if line[2] in names]
        table[row][front] = 'n/a' if not of else 'FAILED' if any(line[0] == 'FAILED' for line in of) else 'ok'

table['drain under load: failed of calls'] = {}
for front, (calls, failed, texts) in each_front(lambda name: with_front(name, 2, ('--grace', '5000'), drained)).items():
    table['drain under load: failed of calls'][front] = f'{failed} of {calls}'
    wrong += [f'{front}: drain: {t}' for t in texts] + ([f'{front}: drain: no calls'] if calls < 100 else [])

table['age of 250 ms under load: failed of calls'] = {}
for front, (calls, failed, texts) in each_front(lambda name: with_front(name, 1, ('--age', '250'), lambda f: f.load(2.5))).items():
    table['age of 250 ms under load: failed of calls'][front] = f'{failed} of {calls}'
    wrong += [f'{front}: age: {t}' for t in texts] + ([f'{front}: age: no calls'] if calls < 100 else [])

table['upstream killed: failed of calls, then'] = {}
for front, (during, then) in each_front(lambda name: with_front(name, 2, (), killed)).items():
    table['upstream killed: failed of calls, then'][front] = f'{during[1]} of {during[0]}, then {then[1]} of {then[0]}'
    # What was in flight: at most a call of each of the 16 workers, and the streams beside them.
    if during[1] < 0 or during[1] > 64 or then[1] != 0 or then[0] < 20:
        wrong += [f'{front}: kill: {during} then {then}']

first, second = with_front('nginx proxy_pass', 1, (), cached)
has(first, 'X-Cache: MISS', 'the first GET')
has(second, 'X-Cache: HIT', 'the second GET comes out of the cache')
has(second, '"text":"kept"', 'and is the answer')

text = '| | ' + ' | '.join(FRONTS) + ' |\n|---' * 1 + '|---' * len(FRONTS) + '|\n'
for row, cells in table.items():
    text += f'| {row} | ' + ' | '.join(cells[f] for f in FRONTS) + ' |\n'
print(text)
if '--write' in sys.argv:
    path = os.path.join(support.SOURCE, 'docs/bench/fronts.md')
    with open(path, encoding='utf-8') as f:
        page = f.read()
    with open(path, 'w', encoding='utf-8') as f:
        f.write(re.sub(r'\| \| direct.*?\n(?!\|)', lambda _: text, page + '\n', flags=re.S).rstrip('\n') + '\n')
check(not wrong, '\n'.join(wrong))
support.done()
