"""connect-es on Node against our server: Connect, gRPC and gRPC-Web; what it calls lies in node/."""
import os
import shutil

import support

folder = os.path.join(support.SOURCE, 'build/deps/interop/node')
if not shutil.which('node') or not os.path.exists(folder + '/client.mjs'):
    support.fail('Node or connect-es is not there; scripts/deps interop fetches them')
server = support.interop()
support.cases(128, 'node', folder + '/client.mjs', server.url)
server.stop()
support.done()
