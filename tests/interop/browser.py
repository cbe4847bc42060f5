"""connect-web in headless Chromium: unary calls, GET, errors, server streams, deadlines, cancels; Connect and gRPC-Web.

The page comes from nginx, which forwards the calls to our server: page and service have one origin.
"""
import os
import signal
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


server = support.interop()
reports = ThreadingHTTPServer(('127.0.0.1', 0), Report)
threading.Thread(target=reports.serve_forever, daemon=True).start()
with tempfile.TemporaryDirectory() as folder:
    port = support.free_port()
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
        origin = f'http://127.0.0.1:{port}'
        browser = subprocess.Popen([CHROMIUM, '--no-sandbox', '--disable-gpu', '--no-proxy-server', '--remote-debugging-port=0',
                                    f'--user-data-dir={folder}/profile', f'{origin}/index.html?server={origin}'], stdout=out, stderr=out,
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
check(sum(line.startswith('ok\t') for line in said) == 40, 'cases')
server.stop()
support.done()
