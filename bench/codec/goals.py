"""The goals of the codec: how many times faster than a peer, with run-time tables and with generated decoders, and what
our own figures may be at most. Projections and JSON to wire run by tables in generated code too; both are measured."""

PB27, PB21, UPB, BUFFA, FLAT, CAPNP = 'protobuf 27.1', 'protobuf 3.21', 'upb', 'buffa', 'FlatBuffers', "Cap'n Proto"
TABLES, GENERATED = 'zcrpc', 'zcrpc generated'

# (work, peer): (tables, generated). protobuf 27.1 stands in for 36, which no registry brings as C++.
RATIOS = {
    ('logbatch: decode and touch', PB27): (11, 17),
    ('logbatch: decode and touch', PB21): (13, 20),
    ('logbatch: decode and touch', UPB): (4.7, 7),
    ('logbatch: decode and touch', BUFFA): (4, 7),
    ('logbatch: decode and touch', FLAT): (1.5, 2.3),
    ('logbatch: decode and touch', CAPNP): (4.4, 6.5),
    ('logvar: decode and touch', PB27): (9, 11.5),
    ('logvar: decode and touch', UPB): (5, 6.5),
    ('logvar: decode and touch', BUFFA): (3.5, 6),
    ('anbig: decode and touch', PB27): (3.3, 4.1),
    ('anbig: decode and touch', UPB): (1.7, 2.1),
    ('api: decode and touch', UPB): (1.8, 3),
    ('gm1: decode and touch', UPB): (1.45, 2.7),
    ('packed varint, 1 MiB: decode and touch', PB27): (6, 6),
    ('logbatch: two fields of each record', PB27): (40, 40),
    ('logbatch: re-encode', PB27): (3.4, 6.5),
    ('logbatch: re-encode', UPB): (2.7, 5),
    ('logbatch: build and encode', PB27): (None, 20),
    ('logbatch: build and encode', UPB): (None, 7),
    ('logbatch: build and encode', CAPNP): (None, 3.8),
    ('logbatch: wire to JSON', BUFFA): (3, 3),
    ('logbatch: wire to JSON', PB21): (12, 12),
    ('logbatch: JSON to wire', BUFFA): (3, 3),
    ('logbatch: JSON to wire', PB21): (25, 25),
    # At most 1.65 and 1.3 times the scan's time.
    ('logvar: decode', 'scan'): (1 / 1.65, 1 / 1.3),
}

# Our own figures: at most (tables, generated).
LIMITS = {
    'packed fixed64, 1 MiB: decode': (15, 15),
    'logbatch: mallocs, arena reused': (0, 0),
    'logbatch: mallocs, arena fresh': (1, 1),
    'logvar: mallocs, arena reused': (0, 0),
    'logvar: mallocs, arena fresh': (1, 1),
    'anbig: mallocs, arena reused': (0, 0),
    'anbig: mallocs, arena fresh': (1, 1),
    'logbatch: arena bytes a wire byte': (0.5, 0.5),
    'sparse200: arena bytes a wire byte': (8, 8),
    'hostile input, the worst: arena bytes a wire byte': (32, 32),
}

WHAT = {
    'api': 'answers of 131 B', 'logrec': 'log records of 650 B', 'analytics': '50 analytics events of 2.9 KB', 'gm1': 'one wide message, 228 B',
    'logbatch': 'one batch of 50 log records, 22,370 B', 'logvar': '200 random batches of 20 KB',
    'logmixed': 'the same, labels in no order', 'anbig': '2,000 analytics events',
    'sparse200': '100,000 rows with 3 of 200 fields', 'sparse30': '100,000 rows with 2 of 30 fields',
}
