"""connect-web in headless Chromium: unary calls, GET, errors, server streams, deadlines, cancels; Connect and gRPC-Web.

The page comes from nginx. Its calls go to nginx, which forwards them to our server, so that page and service have one origin; then
to our server itself, which is another origin and lets the page's in, by a preflight; then to one that lets another's in.
"""
import os
import re
import signal
import socket
import subprocess
import tempfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import support
from support import check

PAGE = os.path.join(support.SOURCE, 'build/deps/interop/node')
ROOT = os.path.join(support.SOURCE, 'build/deps/fronts/root')
ENV = dict(os.environ, LD_LIBRARY_PATH=os.path.join(ROOT, 'usr/lib/x86_64-linux-gnu'))
NGINX = support.tool('nginx', 'scripts/deps check fetches it', 'build/deps/fronts/root/usr/sbin/nginx')
CHROMIUM = support.tool('chromium-headless-shell', 'scripts/deps interop installs it')
check(os.path.exists(PAGE + '/page.bundle.js'), 'the page is not there; scripts/deps interop makes it')
said = []
arrived = threading.Event()


class Report(BaseHTTPRequestHandler):
    def do_POST(self):
        said.extend(self.rfile.read(int(self.headers['content-length'])).decode().split('\n'))
        self.send_response(204)
        self.end_headers()
        arrived.set()

    def log_message(self, *arguments):
        pass


class Recorder:
    """A port that forwards to another, and keeps what clients say."""

    def __init__(self, server):
        host, port = server.address.split(':')
        self.to = host, int(port)
        self.said = []
        self.socket = socket.create_server(('127.0.0.1', 0))
        self.url = f'http://127.0.0.1:{self.socket.getsockname()[1]}'
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            client = self.socket.accept()[0]
            upstream = socket.create_connection(self.to)
            for pair in ((client, upstream, self.said), (upstream, client, [])):
                threading.Thread(target=self.pump, args=pair, daemon=True).start()

    @staticmethod
    def pump(source, sink, record):
        try:
            while data := source.recv(65536):
                record.append(data)
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            for end in (source, sink):
                try:
                    end.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass

    def requests(self):
        """Method, last part of the path and head of each request, as they came: a browser sends a head in one piece."""
        heads = re.findall(rb'(?:OPTIONS|POST|GET) /interop\.v1\.Interop/[^ \r\n]* HTTP/1\.1\r\n(?:[^\r\n]+\r\n)*', b''.join(self.said))
        out = []
        for head in heads:
            method, path = head.decode('latin-1').split(' ')[:2]
            out.append((method, path.split('?')[0].rsplit('/', 1)[1], head.decode('latin-1').lower()))
        return out


reports = ThreadingHTTPServer(('127.0.0.1', 0), Report)
threading.Thread(target=reports.serve_forever, daemon=True).start()
with tempfile.TemporaryDirectory() as folder:
    port = support.free_port()
    origin = f'http://127.0.0.1:{port}'
    server = support.interop()
    open_to_us, open_to_others = support.interop('--cors', f'https://other.example, {origin}'), support.interop('--cors', 'https://other.example')
    across, refused = Recorder(open_to_us), Recorder(open_to_others)
    with open(f'{folder}/nginx.conf', 'w', encoding='ascii') as f:
        f.write(f'''
worker_processes 1; daemon off; master_process off; pid {folder}/pid; error_log {folder}/error.log;
events {{ worker_connections 256; }}
http {{
  access_log off; client_max_body_size 0;
  types {{ text/html html; text/javascript js; }}
  client_body_temp_path {folder}/b; proxy_temp_path {folder}/p; fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  server {{ listen 127.0.0.1:{port};
    location / {{ root {PAGE}; }}
    location /report {{ proxy_pass http://127.0.0.1:{reports.server_port}; }}
    location /interop.v1.Interop/ {{ proxy_pass http://{server.address}; proxy_http_version 1.1; proxy_set_header Connection "";
      proxy_buffering off; proxy_request_buffering off; }} }}
}}
''')
    with open(f'{folder}/said', 'wb') as out:
        nginx = subprocess.Popen([NGINX, '-p', folder, '-e', f'{folder}/error.log', '-c', f'{folder}/nginx.conf'], env=ENV, stdout=out, stderr=out)
        support.await_port(port, nginx, 'nginx')
        page = f'{origin}/index.html?server={origin}&server={across.url}&refused={refused.url}'
        browser = subprocess.Popen([CHROMIUM, '--no-sandbox', '--disable-gpu', '--no-proxy-server', '--remote-debugging-port=0',
                                    f'--user-data-dir={folder}/profile', page], stdout=out, stderr=out,
                                   start_new_session=True)  # Debian's command is a script with the browser as its child
        try:
            arrived.wait(60)
        finally:
            os.killpg(browser.pid, signal.SIGKILL)
            nginx.terminate()
            for process in (browser, nginx):
                process.wait(20)
    with open(f'{folder}/said', encoding='utf-8', errors='replace') as f:
        check(arrived.is_set(), 'the page reported nothing\n' + f.read())
print('\n'.join(said))
bad = [line for line in said if line.startswith('FAILED')]
check(not bad, '\n'.join(bad))
check(sum(line.startswith('ok\t') for line in said) == 2 * 40 + 6, 'cases')

# What the browser said to the other origin: a preflight before what is no simple request, and by its headers.
seen = across.requests()
preflights = [head for method, path, head in seen if (method, path) == ('OPTIONS', 'Unary')]
check(preflights, f'no preflight for a unary call among {len(seen)} requests')
check(f'origin: {origin}\r\n' in preflights[0] and 'access-control-request-method: post\r\n' in preflights[0], preflights[0])
check(any('x-interop' in head for head in preflights), 'a preflight that asks for the page\'s own header')
check(any((method, path) == ('OPTIONS', 'Download') for method, path, _ in seen), 'no preflight for a stream')
first = {path: method for method, path, _ in reversed(seen) if method != 'GET'}
check(first.get('Unary') == 'OPTIONS' and first.get('Download') == 'OPTIONS', f'the first requests: {first}')
# The answer is good for two hours: calls need no preflight each.
posts = sum(method == 'POST' for method, _, _ in seen)
asked = sum(method == 'OPTIONS' for method, _, _ in seen)
check(asked < posts, f'{asked} preflights for {posts} calls')
# And to the one that refuses it: preflights, and never the call itself.
seen = refused.requests()
check(any(method == 'OPTIONS' for method, _, _ in seen), 'nothing came to the server that refuses')
check(not any(method == 'POST' for method, _, _ in seen), 'a call followed a preflight that was refused')
print(f'{asked} preflights and {posts} calls across origins')
for one in (server, open_to_us, open_to_others):
    one.stop()
support.done()
