"""Fetches and builds every side of bench/codec: under build/deps what is fetched, under build/bench/codec what is made."""
import glob
import json
import os
import shutil
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
DEPS, OUT = f'{ROOT}/build/deps', f'{ROOT}/build/bench/codec'
GEN, GEN27, DATA, LOG = f'{OUT}/gen', f'{OUT}/gen27', f'{OUT}/data', f'{ROOT}/build/log'
# With which the library is built too; lines, in a form that valgrind reads, for bench/codec/profile.
LINES = ['-g1', '-gdwarf-4']
CLANG = ['clang++-19', '-O2', '-DNDEBUG', *LINES, f'-I{HERE}']
JOBS = os.environ.get('JOBS', str(os.cpu_count()))


def run(command, log, **more):
    """Runs a command; its output is shown only if it fails."""
    os.makedirs(LOG, exist_ok=True)
    path = f'{LOG}/bench-{log}.log'
    with open(path, 'w') as f:
        done = subprocess.run(command, stdout=f, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, **more)
    if done.returncode:
        with open(path) as f:
            sys.stderr.write(f.read()[-4000:])
        sys.exit(f'error: failed: {" ".join(command)} (whole output: {path})')


def stale(target, *sources):
    if not os.path.exists(target):
        return True
    made = os.path.getmtime(target)
    return any(os.path.getmtime(s) > made for s in sources)


def compile_(name, command, *sources):
    """build/bench/codec/NAME, of the command, if a source is newer."""
    program = f'{OUT}/{name}'
    if stale(program, *sources, f'{HERE}/harness.h'):
        print(f'building {name}', flush=True)
        run(command + ['-o', program], name)
    return program


# ---- What is fetched --------------------------------------------------------------------------------------------------

def fetch_protobuf27():
    """The sources of protobuf C++ 27.1 lie in a crate; libprotobuf and protoc are built once, with clang."""
    folder = f'{DEPS}/protobuf-27.1'
    if os.path.exists(f'{folder}/build/protoc') and os.path.exists(f'{folder}/build/libprotobuf.a'):
        return folder
    if not os.path.exists(f'{folder}/src'):
        print('fetching protobuf C++ 27.1', flush=True)
        crate = f'{folder}/crate'
        os.makedirs(crate, exist_ok=True)
        open(f'{crate}/lib.rs', 'w').close()
        with open(f'{crate}/Cargo.toml', 'w') as f:
            f.write('[package]\nname = "fetch"\nversion = "0.0.0"\n[lib]\npath = "lib.rs"\n[dependencies]\nprotobuf-src = "=2.1.1"\n[workspace]\n')
        run(['cargo', 'vendor', '--versioned-dirs', 'crates'], 'protobuf-27-fetch', cwd=crate)
        os.rename(f'{crate}/crates/protobuf-src-2.1.1+27.1/protobuf', f'{folder}/src')
        shutil.rmtree(crate)
    print('building protobuf C++ 27.1 (once; about 15 minutes)', flush=True)
    run(['cmake', '-S', f'{folder}/src', '-B', f'{folder}/build', '-G', 'Ninja', '-DCMAKE_BUILD_TYPE=Release', '-DCMAKE_C_COMPILER=clang-19',
         '-DCMAKE_CXX_COMPILER=clang++-19', '-DCMAKE_CXX_STANDARD=17', '-DABSL_PROPAGATE_CXX_STD=ON', '-Dprotobuf_BUILD_TESTS=OFF',
         '-Dprotobuf_WITH_ZLIB=OFF', '-Dprotobuf_BUILD_SHARED_LIBS=OFF'], 'protobuf-27-configure')
    run(['ninja', f'-j{JOBS}', '-C', f'{folder}/build', 'libprotobuf.a', 'protoc'], 'protobuf-27-build')
    return folder


def fetch_upb():
    """upb with fast tables: its sources lie in a Python source package of gRPC's."""
    folder = f'{DEPS}/upb'
    library = f'{folder}/libupb.a'
    if os.path.exists(library):
        return folder
    os.makedirs(f'{folder}/obj', exist_ok=True)
    if not os.path.exists(f'{folder}/upb'):
        print('fetching upb', flush=True)
        if not glob.glob(f'{folder}/grpcio-1.85.1.tar.gz'):
            run(['python3', '-m', 'pip', 'download', '-q', '--no-deps', '--no-binary', 'grpcio', 'grpcio==1.85.1', '-d', folder], 'upb-fetch')
        run(['tar', 'xzf', f'{folder}/grpcio-1.85.1.tar.gz', '-C', folder, '--strip-components=2', 'grpcio-1.85.1/third_party/upb',
             'grpcio-1.85.1/third_party/utf8_range'], 'upb-unpack')
    print('building upb (once)', flush=True)
    leave = ('/json/', '/text/', '/conformance/', '/lex/', '/util/', '/io/', '/stage0/', '/test', '/bindings/')
    sources = [s for s in glob.glob(f'{folder}/upb/upb/**/*.c', recursive=True) if not any(part in s for part in leave)]
    objects = []
    for source in sources + [f'{folder}/utf8_range/utf8_range.c']:
        objects.append(f'{folder}/obj/{os.path.relpath(source, folder).replace("/", "_")}.o')
        run(['clang-19', '-std=gnu11', '-O3', '-DNDEBUG', *LINES, '-DUPB_ENABLE_FASTTABLE', f'-I{folder}/upb', f'-I{folder}/upb/upb/reflection/cmake',
             f'-I{folder}/utf8_range', '-c', source, '-o', objects[-1]], 'upb-build')
    run(['ar', 'rcs', library] + objects, 'upb-ar')
    return folder


# ---- What is made -----------------------------------------------------------------------------------------------------

def sparse_proto():
    out = ['// Written by bench/codec: rows of many fields, of which few are set.', 'syntax = "proto3";', 'package bench.sparse;']
    for n in (200, 30):
        out += [f'message Table{n} {{ repeated Row{n} rows = 1; }}', f'message Row{n} {{']
        out += [f'  {("string", "int64", "int32", "bool")[i % 4]} f{i} = {i};' for i in range(1, n + 1)] + ['}']
    return '\n'.join(out) + '\n'


def generate(seed):
    """Data sets, schemas, and the code that reads every field."""
    sys.path.insert(0, HERE)
    import touch
    for folder in (GEN, GEN27, DATA):
        os.makedirs(folder, exist_ok=True)
    with open(f'{GEN}/sparse.proto', 'w') as f:
        f.write(sparse_proto())
    release = f'{ROOT}/build/release'
    run(['protoc', f'-I{HERE}', f'--descriptor_set_out={DATA}/shapes.binpb', 'shapes.proto'], 'shapes')
    run(['protoc', f'-I{GEN}', f'--descriptor_set_out={DATA}/sparse.binpb', 'sparse.proto'], 'sparse')
    run(['protoc', '--include_imports', f'--descriptor_set_out={DATA}/descriptor.binpb', 'google/protobuf/descriptor.proto'], 'descriptor')
    with open(f'{DATA}/shapes.binpb', 'rb') as f:
        text = subprocess.run([f'{release}/bin/zcrpc', 'decode', '--schema', f'{DATA}/descriptor.binpb', '--type', 'google.protobuf.FileDescriptorSet'],
                              stdin=f, stdout=subprocess.PIPE, check=True).stdout
    touch.write(json.loads(text), GEN)
    run([compile_('data-gen', ['g++', '-std=c++20', '-O1', f'{HERE}/data.cc'], f'{HERE}/data.cc', f'{HERE}/data.h'), DATA, str(seed)], 'data')


def ours():
    release = f'{ROOT}/build/release'
    plugin, library = f'{release}/bin/protoc-gen-zcrpc', f'{release}/lib/libzcrpc.so'
    if stale(f'{GEN}/shapes.zcrpc.o', plugin, f'{HERE}/shapes.proto', *glob.glob(f'{ROOT}/include/zcrpc/*.h')):
        run(['protoc', f'--plugin=protoc-gen-zcrpc={plugin}', f'--zcrpc_out=lang=c:{GEN}', f'-I{HERE}', f'-I{GEN}', 'shapes.proto', 'sparse.proto'], 'zcrpc-generate')
        for name in ('sparse', 'shapes'):
            run(['clang-19', '-O2', '-DNDEBUG', *LINES, f'-I{ROOT}/include', '-c', f'{GEN}/{name}.zcrpc.c', '-o', f'{GEN}/{name}.zcrpc.o'], 'zcrpc-shapes')
    return compile_('zcrpc', CLANG + ['-std=c++20', '-fno-builtin-malloc', f'-I{ROOT}/include', f'-I{GEN}', f'{HERE}/zcrpc.cc',
                                      f'{GEN}/shapes.zcrpc.o', f'{GEN}/sparse.zcrpc.o', f'-L{release}/lib', f'-Wl,-rpath,{release}/lib', '-lzcrpc'],
                    f'{HERE}/zcrpc.cc', f'{GEN}/shapes.zcrpc.o', f'{GEN}/touch_zcrpc.h', library)


def protobuf21():
    if stale(f'{GEN}/shapes.pb.cc', f'{HERE}/shapes.proto'):
        run(['protoc', f'-I{HERE}', f'-I{GEN}', f'--cpp_out={GEN}', 'shapes.proto', 'sparse.proto'], 'protobuf-3.21-generate')
    return compile_('protobuf-3.21', CLANG + ['-std=c++20', '-w', '-DWHO="protobuf 3.21"', f'-I{GEN}', f'{HERE}/protobuf.cc', f'{GEN}/shapes.pb.cc',
                                              f'{GEN}/sparse.pb.cc', '-lprotobuf', '-pthread'],
                    f'{HERE}/protobuf.cc', f'{GEN}/shapes.pb.cc', f'{GEN}/touch_protobuf.h')


def protobuf27():
    folder = fetch_protobuf27()
    if stale(f'{GEN27}/shapes.pb.cc', f'{HERE}/shapes.proto'):
        run([f'{folder}/build/protoc', f'-I{HERE}', f'-I{GEN}', f'--cpp_out={GEN27}', 'shapes.proto', 'sparse.proto'], 'protobuf-27-generate')
    libraries = [f'{folder}/build/libprotobuf.a'] + sorted(glob.glob(f'{folder}/build/third_party/**/*.a', recursive=True))
    return compile_('protobuf-27.1', CLANG + ['-std=c++20', '-w', '-DWHO="protobuf 27.1"', f'-I{GEN27}', f'-I{folder}/src/src',
                                              f'-I{folder}/src/third_party/abseil-cpp', f'-I{GEN}', f'{HERE}/protobuf.cc', f'{GEN27}/shapes.pb.cc',
                                              f'{GEN27}/sparse.pb.cc', '-Wl,--start-group'] + libraries + ['-Wl,--end-group', '-pthread'],
                    f'{HERE}/protobuf.cc', f'{GEN27}/shapes.pb.cc', f'{GEN}/touch_protobuf.h')


def upb():
    folder = fetch_upb()
    flags = CLANG[:1] + ['-std=c++20', '-O3', '-DNDEBUG', '-w', '-DUPB_ENABLE_FASTTABLE', f'-I{HERE}', f'-I{folder}/upb', f'-I{folder}/upb/upb/reflection/cmake',
                         f'-I{folder}/utf8_range', f'-I{GEN}']
    tool = compile_('upb-fields', flags + [f'{HERE}/upb_fields.cc', f'{folder}/libupb.a'], f'{HERE}/upb_fields.cc', f'{HERE}/upb_schema.h')
    if stale(f'{GEN}/upb_fields.h', tool, f'{HERE}/shapes.proto'):
        with open(f'{GEN}/upb_fields.h', 'w') as f:
            subprocess.run([tool, f'{DATA}/shapes.binpb'], stdout=f, check=True)
    return compile_('upb', flags + [f'{HERE}/upb.cc', f'{folder}/libupb.a'], f'{HERE}/upb.cc', f'{GEN}/upb_fields.h', f'{GEN}/touch_upb.h')


def rust():
    """buffa and prost, with link-time optimisation over everything."""
    run([f'{ROOT}/scripts/deps', 'cargo'], 'cargo')
    print('building buffa and prost (once)', flush=True)
    environment = dict(os.environ, CARGO_TARGET_DIR=f'{OUT}/rust', TOUCH_BUFFA=f'{GEN}/touch_buffa.rs', TOUCH_PROST=f'{GEN}/touch_prost.rs')
    run(['cargo', 'build', '--release', '-q'], 'rust', cwd=f'{HERE}/rust', env=environment)
    return [f'{OUT}/rust/release/codec-bench-{name}' for name in ('buffa', 'prost')]


def flatbuffers():
    if stale(f'{GEN}/log_generated.h', f'{HERE}/log.fbs'):
        run(['flatc', '--cpp', '-o', GEN, f'{HERE}/log.fbs'], 'flatc')
    return compile_('flatbuffers', CLANG + ['-std=c++20', '-w', f'-I{GEN}', f'{HERE}/flatbuffers.cc'], f'{HERE}/flatbuffers.cc', f'{GEN}/log_generated.h')


def capnp():
    if stale(f'{GEN}/log.capnp.h', f'{HERE}/log.capnp'):
        run(['capnp', 'compile', f'-oc++:{GEN}', f'--src-prefix={HERE}', f'{HERE}/log.capnp'], 'capnp-generate')
    # Its headers are not C++20.
    return compile_('capnp', CLANG + ['-std=c++17', '-w', f'-I{GEN}', f'{HERE}/capnp.cc', f'{GEN}/log.capnp.c++', '-lcapnp', '-lkj'],
                    f'{HERE}/capnp.cc', f'{GEN}/log.capnp.h')


def scan():
    return compile_('scan', CLANG + ['-std=c++20', f'{HERE}/scan.cc'], f'{HERE}/scan.cc')


def build(seed, few=False):
    """Builds everything; gives the programs in the order in which they run. few: only what Debian brings."""
    run([f'{ROOT}/scripts/build'], 'release')
    generate(seed)
    programs = [ours(), scan(), protobuf21()]
    if not few:
        programs += [protobuf27(), upb()] + rust()
        programs += [flatbuffers(), capnp()]
    return programs, DATA
