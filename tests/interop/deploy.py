"""What docs/serving.md says of nginx, HAProxy, systemd and containers, from its text: the configurations are started as they stand
there, with other ports and paths, and calls go through them to two servers; the container's packages are those that the library needs."""
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

import support
from support import check, has

ROOT = os.path.join(support.SOURCE, 'build/deps/fronts/root')
ENV = dict(os.environ, LD_LIBRARY_PATH=os.path.join(ROOT, 'usr/lib/x86_64-linux-gnu'))
NGINX = support.tool('nginx', 'scripts/deps check fetches it', 'build/deps/fronts/root/usr/sbin/nginx')
HAPROXY = support.tool('haproxy', 'scripts/deps check fetches it', 'build/deps/fronts/root/usr/sbin/haproxy')
BUF = support.tool('buf', 'scripts/deps check fetches it', 'build/deps/npm/node_modules/.bin/buf')
PROTO = os.path.join(support.SOURCE, 'examples/telemetry/telemetry.proto')
BATCH = '{"records":[{"timeNs":"1","source":"deploy","severity":"SEVERITY_WARNING","text":"a record"}]}'
NGINX_CONF = """
worker_processes 1; daemon off; master_process off; pid %(dir)s/pid; error_log %(dir)s/error.log;
events { worker_connections 256; }
http {
  access_log off;
  client_body_temp_path %(dir)s/b; proxy_temp_path %(dir)s/p; fastcgi_temp_path %(dir)s/f; uwsgi_temp_path %(dir)s/u; scgi_temp_path %(dir)s/s;
%(text)s
}
"""

with open(os.path.join(support.SOURCE, 'docs/serving.md'), encoding='utf-8') as page:
    PAGE = page.read()


def blocks(language, least):
    found = re.findall(r'^```' + language + r'\n(.*?)^```', PAGE, flags=re.S | re.M)
    check(len(found) >= least, f'docs/serving.md has {len(found)} blocks of {language}, not {least}')
    return found


def there(text, *wanted):
    """The text with other values in the place of the page's; each has to be there."""
    for old, new in wanted:
        check(old in text, f'no {old} in\n{text}')
        text = text.replace(old, str(new))
    return text


def calls(port, protocols, certificate):
    for protocol in protocols:
        has(support.run(BUF, 'curl', '--schema', PROTO, '--protocol', protocol, '--cacert', certificate, '-d', BATCH,
                        f'https://127.0.0.1:{port}/telemetry.v1.Telemetry/Ingest'), '"records":', f'{protocol} through the front')
    for version in ('--http1.1', '--http2'):
        has(support.run('curl', '-sS', version, '--cacert', certificate, '-H', 'content-type: application/json', '-d', BATCH,
                        f'https://127.0.0.1:{port}/telemetry.v1.Telemetry/Ingest'), '"records":', f'JSON, {version}')


def front(command, port, name, folder, use):
    with open(f'{folder}/said', 'wb') as said:
        process = subprocess.Popen(command, env=ENV, stdout=said, stderr=said)
    try:
        support.await_port(port, process, name)
        use()
        check(process.poll() is None, f'{name} ended')
    finally:
        process.terminate()
        process.wait(10)


def nginx(folder, servers, certificate):
    for text in blocks('nginx', 2):
        port = support.free_port()
        ours = there(text, ('443', f'127.0.0.1:{port}'), ('127.0.0.1:8080', servers[0].address), ('127.0.0.1:8081', servers[1].address),
                     ('/etc/app/tls.crt', certificate + '.crt'), ('/etc/app/tls.key', certificate + '.key'))
        conf = f'{folder}/nginx.conf'
        with open(conf, 'w', encoding='ascii') as out:
            out.write(NGINX_CONF % {'dir': folder, 'text': ours})
        protocols = ('grpcweb',) if 'proxy_pass' in text else ('grpc', 'grpcweb')
        front((NGINX, '-p', folder, '-e', f'{folder}/error.log', '-c', conf), port, 'nginx', folder,
              lambda p=port, s=protocols: calls(p, s, certificate + '.crt'))


def haproxy(folder, servers, certificate):
    for text in blocks('haproxy', 1):
        port = support.free_port()
        ours = there(text, ('bind :443', f'bind 127.0.0.1:{port}'), ('127.0.0.1:8080', servers[0].address), ('127.0.0.1:8081', servers[1].address),
                     ('/etc/app/tls.pem', certificate), ('maxconn 10000', 'maxconn 256\n  nbthread 1\n  stats socket ' + folder + '/stats'))
        conf = f'{folder}/haproxy.cfg'
        with open(conf, 'w', encoding='ascii') as out:
            out.write(ours)
        has(support.run('env', 'LD_LIBRARY_PATH=' + ENV['LD_LIBRARY_PATH'], HAPROXY, '-c', '-f', conf), 'valid', 'haproxy -c')

        def use(p=port, stats=folder + '/stats'):
            calls(p, ('grpc', 'grpcweb'), certificate + '.crt')
            states = []
            for _ in range(100):
                with socket.socket(socket.AF_UNIX) as s:
                    s.connect(stats)
                    s.sendall(b'show stat\n')
                    lines = s.makefile(encoding='ascii').read().lstrip('# ').splitlines()
                rows = [dict(zip(lines[0].split(','), line.split(','))) for line in lines[1:] if line]
                states = [row['check_status'] for row in rows if re.fullmatch('s[12]', row['svname'])]
                if states == ['L7OK', 'L7OK']:
                    break
                time.sleep(0.1)
            check(states == ['L7OK', 'L7OK'], f'HAProxy\'s checks of health say {states}')
        front((HAPROXY, '-db', '-f', conf), port, 'HAProxy', folder, use)


def systemd(folder):
    units = {}
    for text in blocks('ini', 2):
        name = re.match(r'# /etc/systemd/system/(\S+)\n', text)
        check(name, 'a unit that does not say its path')
        units[name.group(1)] = text
    # What the service manager does: the listening socket is descriptor 3, and SIGTERM ends the service.
    command = re.search(r'^ExecStart=(.*)$', units['app.service'], flags=re.M).group(1).split()
    port = support.free_port()
    code = ('import os, socket, sys\n'
            f's = socket.create_server(("127.0.0.1", {port}), backlog=1024)\n'
            'os.dup2(s.fileno(), 3, inheritable=True) if s.fileno() != 3 else os.set_inheritable(3, True)\n'
            'os.environ["LISTEN_FDS"] = "1"; os.environ["LISTEN_PID"] = str(os.getpid())\n'
            'os.execv(sys.argv[1], sys.argv[1:])\n')
    process = subprocess.Popen([sys.executable, '-c', code, os.path.join(support.BIN, os.path.basename(command[0]))] + command[1:], stdout=subprocess.DEVNULL)
    try:
        support.await_port(port, process, 'the service')
        has(support.run('curl', '-sS', '-H', 'content-type: application/json', '-d', BATCH, f'http://127.0.0.1:{port}/telemetry.v1.Telemetry/Ingest'),
            '"records":', 'through the unit\'s socket')
        process.send_signal(signal.SIGTERM)
        check(process.wait(30) == 0, 'the service did not end well')
    finally:
        process.kill()
    analyze = shutil.which('systemd-analyze')
    if not analyze:
        print('there is no systemd-analyze: the syntax of the units was not looked at')
        return
    for name, text in units.items():
        with open(os.path.join(folder, name), 'w', encoding='ascii') as out:
            out.write(text.replace(command[0], os.path.join(support.BIN, os.path.basename(command[0]))))
    said = support.run(analyze, 'verify', '--man=no', *(os.path.join(folder, name) for name in units))
    check(not re.search(r'app\.(socket|service)', said), f'systemd-analyze verify\n{said}')


def container():
    text = blocks('dockerfile', 1)[0]
    packages = {'nghttp2.so.14': 'libnghttp2-14', 'cares.so.2': 'libc-ares2', 'curl.so.4': 'libcurl4', 'ssl.so.3': 'libssl3', 'crypto.so.3': 'libssl3', 'z.so.1': 'zlib1g',
                'zstd.so.1': 'libzstd1', 'brotlienc.so.1': 'libbrotli1', 'brotlidec.so.1': 'libbrotli1'}
    needed = re.findall(r'NEEDED.*\[(?:lib)?(.*?)\]', support.run('readelf', '-d', os.path.join(support.BIN, '../lib/libzcrpc.so')))
    wanted = {packages.get(name, name) for name in needed if not re.match(r'(c|m)\.so|ld-linux', name)}
    said = set(re.search(r'--no-install-recommends (.*?)\\', text, flags=re.S).group(1).split())
    check(wanted == said, f'the container installs {sorted(said)}, the library needs {sorted(wanted)}')


with tempfile.TemporaryDirectory() as scratch:
    own = support.certificate(scratch)
    pair = [support.telemetry(), support.telemetry()]
    nginx(scratch, pair, own)
    haproxy(scratch, pair, own)
    for one in pair:
        one.stop()
    systemd(scratch)
    container()
support.done()
