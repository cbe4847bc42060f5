"""HAProxy asks grpc.health.v1 whether our servers serve: one that drains is marked down while it still listens, its traffic moves to
the other without a failed call, and one that is back gets its share again.
"""
import os
import signal
import socket
import subprocess
import tempfile
import threading
import time

import support
from support import check

CLIENT = support.tool('interop-go', 'scripts/deps interop builds it', 'build/deps/interop/interop-go')
ROOT = os.path.join(support.SOURCE, 'build/deps/fronts/root')
HAPROXY = support.tool('haproxy', 'scripts/deps check fetches it', 'build/deps/fronts/root/usr/sbin/haproxy')
ENV = dict(os.environ, LD_LIBRARY_PATH=os.path.join(ROOT, 'usr/lib/x86_64-linux-gnu'))
LAME_DUCK = 1500  # ms; several checks of 100 ms, on a busy machine too
CONF = '''
global
  maxconn 512
  nbthread 1
  stats socket %(dir)s/stats
defaults
  mode http
  timeout connect 2s
  timeout client 30s
  timeout server 30s
  timeout check 10s
  retries 3
  option redispatch 1
frontend front
  bind 127.0.0.1:%(port)d proto h2
  default_backend app
backend app
  option httpchk
  http-check send meth POST uri /grpc.health.v1.Health/Check ver HTTP/2 hdr host localhost hdr content-type application/json body '{}'
  http-check expect string '{"status":"SERVING"}'
  default-server proto h2 check inter 100 fall 2 rise 2
  server s0 %(s0)s
  server s1 %(s1)s
'''


def stats(folder):
    """Of each server: its status, and how many requests it was given."""
    with socket.socket(socket.AF_UNIX) as s:
        s.connect(f'{folder}/stats')
        s.sendall(b'show stat\n')
        text = b''
        while data := s.recv(65536):
            text += data
    lines = text.decode().lstrip('# ').splitlines()
    names = lines[0].split(',')
    rows = [dict(zip(names, line.split(','))) for line in lines[1:] if line]
    return {row['svname']: (row['status'].split()[0], int(row['stot'])) for row in rows if row['pxname'] == 'app' and row['svname'] != 'BACKEND'}


def await_status(folder, name, wanted, seconds=10):
    end = time.monotonic() + seconds
    while stats(folder)[name][0] != wanted:
        check(time.monotonic() < end, f'{name} is not {wanted}: {stats(folder)}')
        time.sleep(0.01)


def drained_under_load(folder, port, servers, leaving, staying):
    """Calls run all the time; after a while one server is told to end."""
    seen = {}

    def leave():
        before = stats(folder)
        check(all(status == 'UP' for status, _ in before.values()), f'before the drain: {before}')
        servers[leaving].process.send_signal(signal.SIGTERM)
        try:
            await_status(folder, f's{leaving}', 'DOWN')
            seen['running'] = servers[leaving].process.poll() is None
            seen['at'] = stats(folder)
            time.sleep(0.5)
            seen['later'] = stats(folder)
        except SystemExit:
            pass

    timer = threading.Timer(0.7, leave)
    timer.start()
    ran = subprocess.run([CLIENT, 'load', 'HAProxy', 'grpc', '2', f'127.0.0.1:{port}', '4'], capture_output=True, timeout=90, check=False, text=True)
    timer.join()
    check('later' in seen, f'server {leaving} was not marked down')
    check(seen['running'], 'it had ended before its balancer knew: there was no lame duck')
    lines = [line.split('\t') for line in ran.stdout.splitlines()]
    made = [line for line in lines if line[0] == 'load']
    check(made, ran.stdout + ran.stderr)
    calls, failed = int(made[0][3]), int(made[0][4])
    check(failed == 0, f'{failed} of {calls} calls failed: ' + '\n'.join(' '.join(line) for line in lines if line[0] == 'FAILED'))
    check(calls > 100, f'{calls} calls')
    here, there = f's{leaving}', f's{staying}'
    moved = seen['later'][there][1] - seen['at'][there][1]
    late = seen['later'][here][1] - seen['at'][here][1]
    check(moved > 10, f'{moved} requests went to the server that stays')
    check(late == 0, f'{late} requests went to a server that was down')
    check(servers[leaving].process.wait(30) == 0, 'the server that drained did not end well')
    print(f's{leaving} drained: {failed} of {calls} calls failed; {moved} requests to the other in the half second behind it')


with tempfile.TemporaryDirectory() as folder:
    flags = ('--lame-duck', str(LAME_DUCK), '--grace', '10000')
    servers = [support.interop(*flags) for _ in range(2)]
    port = support.free_port()
    with open(f'{folder}/conf', 'w', encoding='ascii') as f:
        f.write(CONF % {'dir': folder, 'port': port, 's0': servers[0].address, 's1': servers[1].address})
    with open(f'{folder}/said', 'wb') as said:
        proxy = subprocess.Popen([HAPROXY, '-db', '-f', f'{folder}/conf'], env=ENV, stdout=said, stderr=said)
    try:
        support.await_port(port, proxy, 'HAProxy')
        while not os.path.exists(f'{folder}/stats'):  # bound behind the port
            check(proxy.poll() is None, 'HAProxy ended')
            time.sleep(0.01)
        for name in ('s0', 's1'):
            await_status(folder, name, 'UP')
        drained_under_load(folder, port, servers, 0, 1)
        # It comes back, by the same check; then the other one leaves.
        servers[0] = support.interop('--listen', servers[0].address, *flags)
        await_status(folder, 's0', 'UP')
        drained_under_load(folder, port, servers, 1, 0)
        servers[0].stop()
        await_status(folder, 's0', 'DOWN')
    finally:
        proxy.terminate()
        proxy.wait(20)
support.done()
