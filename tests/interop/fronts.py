"""nginx and HAProxy before our server: every way they forward, Connect calls with curl.

nginx grpc_pass (HTTP/2 to us), nginx proxy_pass (HTTP/1.1 to us), HAProxy with HTTP/2 and with HTTP/1.1 to us. The
configurations are those of docs/serving.md, in clear text.
"""
import json
import os
import socket
import subprocess
import tempfile
import time

import support
from support import check, has

ROOT = os.path.join(support.SOURCE, 'build/deps/fronts/root')
ENV = dict(os.environ, LD_LIBRARY_PATH=os.path.join(ROOT, 'usr/lib/x86_64-linux-gnu'))
NGINX = support.tool('nginx', 'scripts/deps check fetches it', 'build/deps/fronts/root/usr/sbin/nginx')
HAPROXY = support.tool('haproxy', 'scripts/deps check fetches it', 'build/deps/fronts/root/usr/sbin/haproxy')


def ports(count):
    """Free ones; they are bound by others at once."""
    held = []
    for _ in range(count):
        s = socket.socket()
        s.bind(('127.0.0.1', 0))
        held.append(s)
    out = [s.getsockname()[1] for s in held]
    for s in held:
        s.close()
    return out


def start(*command):
    process = subprocess.Popen(command, env=ENV, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    running.append(process)
    return process


def await_port(port, process, name):
    for _ in range(200):
        if process.poll() is not None:
            support.fail(f'{name} ended with {process.returncode}')
        try:
            socket.create_connection(('127.0.0.1', port), 1).close()
            return
        except OSError:
            time.sleep(0.05)
    support.fail(f'{name} does not listen')


running = []
server = support.telemetry()
upstream = server.address
grpc, http, h2, h1 = ports(4)

with tempfile.TemporaryDirectory() as scratch:
    with open(f'{scratch}/nginx.conf', 'w') as f:
        f.write(f'''
worker_processes 1; daemon off; master_process off; pid {scratch}/pid; error_log {scratch}/error.log;
events {{ worker_connections 256; }}
http {{
  access_log off;
  client_body_temp_path {scratch}/b; proxy_temp_path {scratch}/p; fastcgi_temp_path {scratch}/f; uwsgi_temp_path {scratch}/u; scgi_temp_path {scratch}/s;
  # One for each version: nginx would hand a kept connection of one to the other.
  upstream over_h2 {{ server {upstream}; keepalive 8; }}
  upstream over_h1 {{ server {upstream}; keepalive 8; }}
  server {{ listen 127.0.0.1:{grpc} http2; location / {{ grpc_pass grpc://over_h2; }} }}
  server {{ listen 127.0.0.1:{http}; location / {{
    proxy_pass http://over_h1; proxy_http_version 1.1; proxy_set_header Connection "";
    proxy_buffering off; proxy_request_buffering off; }} }}
}}
''')
    with open(f'{scratch}/haproxy.cfg', 'w') as f:
        f.write(f'''
global
  maxconn 256
  nbthread 1
defaults
  mode http
  timeout connect 2s
  timeout client 30s
  timeout server 30s
frontend h2
  bind 127.0.0.1:{h2} proto h2
  default_backend h2
backend h2
  server s1 {upstream} proto h2
frontend h1
  bind 127.0.0.1:{h1}
  default_backend h1
backend h1
  server s1 {upstream}
''')
    try:
        nginx = start(NGINX, '-p', scratch, '-e', f'{scratch}/error.log', '-c', f'{scratch}/nginx.conf')
        haproxy = start(HAPROXY, '-db', '-f', f'{scratch}/haproxy.cfg')
        for port in (grpc, http):
            await_port(port, nginx, 'nginx')
        for port in (h2, h1):
            await_port(port, haproxy, 'HAProxy')
        expected = 0
        for name, port, version in (('direct', int(upstream.rsplit(':', 1)[1]), '--http2-prior-knowledge'),
                                    ('nginx grpc_pass', grpc, '--http2-prior-knowledge'), ('nginx proxy_pass', http, '--http1.1'),
                                    ('HAProxy HTTP/2', h2, '--http2-prior-knowledge'), ('HAProxy HTTP/1.1', h1, '--http1.1')):
            url = f'http://127.0.0.1:{port}/telemetry.v1.Telemetry/'
            curl = ('curl', '-sS', '-m', '20', '--noproxy', '*', version, '-w', ' %{http_code}', '-H', 'content-type: application/json')
            # A call, twice, for the connection that is kept; a large one, which waits for windows.
            for text in ('hi', 'again', 'x' * 1000000):
                batch = json.dumps({'records': [{'source': name, 'severity': 'SEVERITY_ERROR', 'text': text}]})
                answer = support.run(*curl, '--data-binary', '@-', url + 'Ingest', data=batch.encode())
                expected += 1
                has(answer, f'"records":"{expected}"', name)
                has(answer, ' 200', name)
            # An error keeps its code, its text, its detail.
            answer = support.run(*curl, '-d', '{"records":[{"text":"who?"}]}', url + 'Ingest')
            has(answer, ' 400', name)
            has(answer, '"message":"records[0].source: must not be empty"', name)
            has(answer, 'google.rpc.BadRequest', name)
            # GET.
            has(support.run(*curl, url + 'GetSummary?connect=v1&encoding=json&message=%7B%7D'), f'"records":"{expected}"', name)
    finally:
        for process in running:
            process.terminate()
        for process in running:
            process.wait(10)
server.stop()
support.done()
